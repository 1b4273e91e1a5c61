# a longer training, so a wider range of sizes; a box head with a third of the multiplications
_base_ = './instbox_mobilenet-v2-d16_1xb8-2k_voc-mini-352x352.py'
model = dict(box_head=dict(first_kernel=1))
train_pipeline = [
    dict(type='LoadInstImage'),
    dict(type='LoadInstAnnotations'),
    dict(type='RandomResize', scale=(416, 416), ratio_range=(0.5, 1.5), keep_ratio=True),
    dict(type='RandomCrop', crop_size=(352, 352)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackInstInputs')
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, begin=0, end=100, by_epoch=False),
    dict(type='PolyLR', eta_min=0.0, power=0.9, begin=100, end=5000, by_epoch=False)
]
train_cfg = dict(max_iters=5000, val_interval=1000)
