# as voc-mini_352x352, at a smaller size
_base_ = './voc-mini_352x352.py'
crop_size = (224, 224)
train_pipeline = [
    *_base_.load,
    dict(type='RandomResize', scale=(256, 256), ratio_range=(0.7, 1.35), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size), *_base_.augment
]
test_pipeline = [
    _base_.load[0],
    dict(type='Resize', scale=(256, 256), keep_ratio=True), *_base_.test_pipeline[2:]
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
