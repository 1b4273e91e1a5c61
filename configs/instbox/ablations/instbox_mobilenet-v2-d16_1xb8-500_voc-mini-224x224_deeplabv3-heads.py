# the heads of the model in demo/, whose convolutions on the last stage are 1 x 1
_base_ = './instbox_mobilenet-v2-d16_1xb8-500_voc-mini-224x224.py'
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    decode_head=dict(
        _delete_=True,
        type='RefinedASPPHead',
        in_channels=320,
        in_index=3,
        channels=256,
        dilations=(1, ),
        fine_in_channels=(24, ),
        fine_in_index=(0, ),
        dropout_ratio=0.1,
        num_classes=21,
        norm_cfg=norm_cfg,
        fine_norm_cfg=norm_cfg,
        sampler=dict(type='BootstrapPixelSampler', thresh=0.7, min_kept=0.16),
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.0)),
    box_head=dict(
        type='ContextPixelBoxHead',
        input_transform=None,
        context_channels=192,
        context_dilations=(1, 2, 4),
        first_kernel=1,
        dilation=2))
