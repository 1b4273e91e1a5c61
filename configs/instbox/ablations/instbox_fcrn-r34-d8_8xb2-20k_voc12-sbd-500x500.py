_base_ = './instbox_fcrn-r18-d8_8xb2-20k_voc12-sbd-500x500.py'
model = dict(
    backbone=dict(
        depth=34,
        init_cfg=dict(checkpoint='https://download.pytorch.org/models/resnet34-b627a593.pth')))
