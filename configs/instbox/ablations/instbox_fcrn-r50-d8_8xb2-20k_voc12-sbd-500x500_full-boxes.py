# boxes of whole objects instead of their visible parts
_base_ = '../instbox_fcrn-r50-d8_8xb2-20k_voc12-sbd-500x500.py'
train_pipeline = [
    *_base_.train_pipeline[:3],
    _base_.train_pipeline[4],  # the flip, before the crop
    dict(_base_.train_pipeline[3], type='FullBoxRandomCrop'),
    *_base_.train_pipeline[5:]
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
