_base_ = [
    'mmseg::_base_/models/fcn_hr18.py', '../_base_/datasets/voc-mini_352x352.py',
    '../_base_/schedules/schedule_adamw-poly_2k.py', '../_base_/default_runtime.py'
]
model = dict(
    type='InstBoxSegmentor',
    decode_head=dict(num_classes=21),
    box_head=dict(
        type='PixelBoxHead',
        in_channels=[36, 72, 144],
        in_index=[1, 2, 3],
        input_transform='resize_concat',
        channels=256,
        num_convs=2,
        dilation=4,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        sampler=dict(type='BootstrapPixelSampler', min_kept=0.5),
        loss_decode=dict(type='SmoothL1Loss', beta=0.25, loss_weight=2.0)))
