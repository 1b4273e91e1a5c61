_base_ = [
    '../_base_/models/pidnet-s.py', '../_base_/datasets/voc-mini_352x352.py',
    '../_base_/schedules/schedule_adamw-poly_2k.py', '../_base_/default_runtime.py'
]
model = dict(
    type='InstBoxSegmentor',
    data_preprocessor=dict(size=None, size_divisor=32),
    # without class_weight, which is that of Cityscapes' 19 categories
    decode_head=dict(
        num_classes=21,
        align_corners=False,
        loss_decode=[{k: v for k, v in loss.items() if k != 'class_weight'}
                     for loss in _base_.model.decode_head.loss_decode]),
    # in training the backbone gives three branches: that of details, the integral one, borders
    box_head=dict(
        type='PixelBoxHead',
        in_channels=128,
        in_index=1,
        channels=256,
        num_convs=2,
        dilation=4,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        sampler=dict(type='BootstrapPixelSampler', min_kept=0.5),
        loss_decode=dict(type='SmoothL1Loss', beta=0.25, loss_weight=2.0)))
# as in the data set's file, and the edges that PIDNet learns
train_pipeline = [
    *_base_.train_pipeline[:-1],
    dict(type='GenerateEdge', edge_width=4),
    _base_.train_pipeline[-1]
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
