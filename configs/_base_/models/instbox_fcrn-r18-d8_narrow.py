# a quarter of ResNet-18's width, trained from scratch
norm_cfg = dict(type='BN', requires_grad=True)
data_preprocessor = dict(
    type='InstBoxDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    size_divisor=8,
    channels_last=True)
model = dict(
    type='InstBoxSegmentor',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='FCRNResNet',
        depth=18,
        output_stride=8,
        stem_channels=16,
        base_channels=16,
        out_indices=(0, 1, 2, 3),
        norm_cfg=norm_cfg),
    decode_head=dict(
        type='FCRNHead',
        in_channels=128,
        in_index=3,
        channels=64,
        num_convs=1,
        classifier_kernel=3,
        classifier_dilation=2,
        dropout_ratio=0,
        num_classes=7,
        norm_cfg=norm_cfg,
        sampler=dict(type='BootstrapPixelSampler', thresh=0.7, min_kept=64),
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.0)),
    box_head=dict(
        type='PixelBoxHead',
        in_channels=128,
        in_index=3,
        channels=64,
        num_convs=1,
        dilation=2,
        norm_cfg=norm_cfg,
        sampler=dict(type='BootstrapPixelSampler', min_kept=0.5),
        coder=dict(type='PixelBoxCoder', scale=32),
        loss_decode=dict(type='SmoothL1Loss', beta=0.25, loss_weight=2.0)),
    # its boxes are clean, so little gain is enough to tell an object
    grouper=dict(type='PixelBoxGrouper', min_gain=0.08),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
