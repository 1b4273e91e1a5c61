# DeepLabV3 with MobileNetV2, and a box head on its features at strides 8 and 16. The category
# weights are the public DeepLab release's, made by tools/model_converters/deeplab_tflite.py.
_base_ = './instbox_mobilenet-v2-d16.py'
model = dict(
    data_preprocessor=dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5]),
    backbone=dict(
        _delete_=True,
        type='DilatedMobileNetV2',
        strides=(1, 2, 2, 2, 1, 1, 1),
        dilations=(1, 1, 1, 1, 1, 2, 2),
        out_indices=(1, 2, 4, 6),
        norm_cfg=None,  # folded into the convolutions
        frozen_stages=3,
        act_cfg=dict(type='LeanReLU6')),  # ReLU6 in less memory
    decode_head=dict(
        _delete_=True,
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
        fine_norm_cfg=dict(type='BN', requires_grad=True),
        sampler=dict(type='BootstrapPixelSampler', thresh=0.7, min_kept=0.16),
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.0)),
    box_head=dict(
        type='ContextPixelBoxHead',
        input_transform=None,
        context_channels=192,
        context_dilations=(1, 2, 4),
        first_kernel=1,
        dilation=2),
    # by tools/analysis_tools/calibrate.py on val_official
    grouper=dict(calibration=(2.18, 1.57)))
