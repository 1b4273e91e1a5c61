# boxes of whole objects instead of their visible parts
_base_ = './instbox_mobilenet-v2-d16_1xb8-500_voc-mini-224x224.py'
train_pipeline = [
    *_base_.train_pipeline[:3],
    _base_.train_pipeline[4],  # the flip, before the crop
    dict(_base_.train_pipeline[3], type='FullBoxRandomCrop'),
    *_base_.train_pipeline[5:]
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
