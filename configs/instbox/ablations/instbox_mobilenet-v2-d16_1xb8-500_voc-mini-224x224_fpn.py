# the neck and the heads of instbox_fpn-r50-d16
_base_ = './instbox_mobilenet-v2-d16_1xb8-500_voc-mini-224x224.py'
model = dict(
    neck=dict(
        type='FPN',
        in_channels=[24, 32, 96, 320],
        start_level=1,
        out_channels=128,
        num_outs=3,
        norm_cfg=dict(type='BN', requires_grad=True),
        act_cfg=dict(type='ReLU')),
    decode_head=dict(in_channels=(128, 128, 128), in_index=(0, 1, 2)),
    box_head=dict(in_channels=(128, 128, 128), in_index=(0, 1, 2), first_kernel=1))
