# Data, schedule and box head of the configs in ../instbox/any_model. Bases side by side may not set
# the same key (here `model`), so each config pops `box_head` into its own model. The head sees the
# last three of four stages, unless a config names one.
_base_ = [
    './datasets/voc-mini_352x352.py', './schedules/schedule_adamw-poly_2k.py',
    './default_runtime.py'
]
box_head = dict(
    type='PixelBoxHead',
    in_index=[1, 2, 3],
    input_transform='resize_concat',
    channels=256,
    num_convs=2,
    dilation=4,
    norm_cfg=dict(type='SyncBN', requires_grad=True),
    sampler=dict(type='BootstrapPixelSampler', min_kept=0.5),
    loss_decode=dict(type='SmoothL1Loss', beta=0.25, loss_weight=2.0))
