_base_ = '../instbox_fcrn-r50-d8_8xb2-20k_voc12-sbd-500x500.py'
train_pipeline = [
    dict(type='LoadInstImage'),
    dict(type='LoadInstAnnotations'),
    dict(type='RandomResize', scale=(500, 500), ratio_range=(0.7, 1.3), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='FullBoxRandomCrop', crop_size=(500, 500)),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackInstInputs')
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
