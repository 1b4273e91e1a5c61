# a longer training, so a wider range of sizes; a box head with a third of the multiplications
_base_ = [
    '../_base_/models/instbox_mobilenet-v2-d16.py', '../_base_/datasets/voc-mini_352x352.py',
    '../_base_/schedules/schedule_adamw-poly_5k.py', '../_base_/default_runtime.py'
]
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
