_base_ = '../instbox_fcrn-r50-d8_8xb2-20k_voc12-sbd-500x500.py'
model = dict(
    backbone=dict(
        depth=34,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.pytorch.org/models/resnet34-b627a593.pth')),
    decode_head=dict(in_channels=512),
    box_head=dict(in_channels=512))
