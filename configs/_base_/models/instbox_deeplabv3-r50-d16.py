# The heads of instbox_deeplabv3-mobilenet-v2-d16.py on ResNet-50, from ImageNet weights: their
# convolutions on the 2,048 channels of the last stage are 1 x 1, so that both heads together take
# little time beside the backbone (docs/benchmarks.md)
_base_ = './instbox_fcrn-r50-d8.py'
norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    data_preprocessor=dict(size_divisor=16, channels_last=True),
    backbone=dict(output_stride=16),
    decode_head=dict(
        _delete_=True,
        type='RefinedASPPHead',
        in_channels=2048,
        in_index=3,
        channels=256,
        dilations=(1, ),
        fine_in_channels=(256, ),
        fine_in_index=(0, ),
        dropout_ratio=0.1,
        num_classes=21,
        norm_cfg=norm_cfg,
        fine_norm_cfg=norm_cfg,
        sampler=dict(type='BootstrapPixelSampler', thresh=0.7, min_kept=0.16),
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.0)),
    box_head=dict(
        type='ContextPixelBoxHead',
        in_channels=(512, 1024, 2048),
        in_index=(1, 2, 3),
        channels=128,
        context_channels=192,
        context_dilations=(1, 2, 4),
        num_convs=2,
        first_kernel=1,
        dilation=2))
