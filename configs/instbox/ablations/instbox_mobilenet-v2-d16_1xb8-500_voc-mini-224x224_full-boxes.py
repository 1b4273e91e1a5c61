_base_ = './instbox_mobilenet-v2-d16_1xb8-500_voc-mini-224x224.py'
train_pipeline = [
    dict(type='LoadInstImage'),
    dict(type='LoadInstAnnotations'),
    dict(type='RandomResize', scale=(256, 256), ratio_range=(0.7, 1.35), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='FullBoxRandomCrop', crop_size=(224, 224)),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackInstInputs')
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
