# DeepLabV3 with MobileNetV2, and a box head on its features at strides 8 and 16. The category
# weights are the public DeepLab release's, made by tools/model_converters/deeplab_tflite.py.
norm_cfg = dict(type='BN', requires_grad=True)
data_preprocessor = dict(
    type='InstBoxDataPreProcessor',
    mean=[127.5, 127.5, 127.5],
    std=[127.5, 127.5, 127.5],
    bgr_to_rgb=True,
    size_divisor=16,
    channels_last=True)
model = dict(
    type='InstBoxSegmentor',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='DilatedMobileNetV2',
        strides=(1, 2, 2, 2, 1, 1, 1),
        dilations=(1, 1, 1, 1, 1, 2, 2),
        out_indices=(1, 2, 4, 6),
        norm_cfg=None,  # folded into the convolutions
        frozen_stages=3,
        act_cfg=dict(type='LeanReLU6')),  # ReLU6 in less memory
    decode_head=dict(
        type='RefinedASPPHead',
        in_channels=320,
        in_index=3,
        channels=256,
        dilations=(1, ),
        fine_in_channels=(24, 32),
        fine_in_index=(0, 1),
        dropout_ratio=0.1,
        num_classes=21,
        norm_cfg=None,
        fine_norm_cfg=norm_cfg,
        sampler=dict(type='BootstrapPixelSampler', thresh=0.7, min_kept=0.16),
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.0)),
    box_head=dict(
        type='ContextPixelBoxHead',
        in_channels=(32, 96, 320),
        in_index=(1, 2, 3),
        context_channels=192,
        context_dilations=(1, 2, 4),
        channels=128,
        num_convs=2,
        first_kernel=1,
        dilation=2,
        norm_cfg=norm_cfg,
        sampler=dict(type='BootstrapPixelSampler', min_kept=0.5),
        coder=dict(type='PixelBoxCoder', scale=64),
        loss_decode=dict(type='SmoothL1Loss', beta=0.25, loss_weight=2.0)),
    # by tools/analysis_tools/calibrate.py on val_official
    grouper=dict(type='PixelBoxGrouper', calibration=(2.501, 2.302)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
