# short enough for two CPU cores: what bootstrapping does from weights that know the categories
_base_ = '../instbox_deeplabv3-mobilenet-v2-d16_1xb8-5k_voc-plus-416x416.py'
train_pipeline = [
    *_base_.load,
    dict(type='RandomResize', scale=(256, 256), ratio_range=(0.7, 1.35), keep_ratio=True),
    dict(type='RandomCrop', crop_size=(224, 224)), *_base_.augment
]
test_pipeline = [
    _base_.load[0],
    dict(type='Resize', scale=(256, 256), keep_ratio=True), *_base_.test_pipeline[2:]
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
param_scheduler = [
    dict(_base_.param_scheduler[0], end=60),
    dict(_base_.param_scheduler[1], begin=60, end=600)
]
train_cfg = dict(max_iters=600, val_interval=600)
default_hooks = dict(checkpoint=dict(interval=300))
