# The backbone has feature stride 16; the heads read its stages at strides 8 and 16 side by side at
# stride 8, which costs far less than a backbone at stride 8: see docs/paper.md.
norm_cfg = dict(type='BN', requires_grad=True)
head = dict(
    in_channels=(32, 96, 320),
    in_index=(1, 2, 3),
    input_transform='resize_concat',
    channels=128,
    norm_cfg=norm_cfg)
model = dict(
    type='InstBoxSegmentor',
    data_preprocessor=dict(
        type='InstBoxDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        size_divisor=16,
        channels_last=True),
    backbone=dict(
        type='MobileNetV2',
        widen_factor=1.0,
        strides=(1, 2, 2, 2, 1, 1, 1),
        dilations=(1, 1, 1, 1, 1, 2, 2),
        out_indices=(1, 2, 4, 6),
        norm_cfg=norm_cfg,
        act_cfg=dict(type='LeanReLU6'),  # ReLU6 in less memory
        init_cfg=dict(type='Pretrained', checkpoint='mmcls://mobilenet_v2')),
    decode_head=dict(
        head,
        type='FCRNHead',
        num_convs=1,
        dilation=2,
        classifier_kernel=3,
        classifier_dilation=4,
        dropout_ratio=0.1,
        num_classes=21,
        sampler=dict(type='BootstrapPixelSampler', thresh=0.7, min_kept=0.16),
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.0)),
    box_head=dict(
        head,
        type='PixelBoxHead',
        num_convs=2,
        dilation=4,
        sampler=dict(type='BootstrapPixelSampler', min_kept=0.5),
        coder=dict(type='PixelBoxCoder', scale=64),
        loss_decode=dict(type='SmoothL1Loss', beta=0.25, loss_weight=2.0)),
    grouper=dict(type='PixelBoxGrouper'),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
