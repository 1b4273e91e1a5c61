_base_ = '../instbox_fcrn-r50-d8_8xb2-20k_voc12-sbd-500x500.py'
model = dict(
    backbone=dict(
        depth=152,
        init_cfg=dict(checkpoint='https://download.pytorch.org/models/resnet152-394f9c45.pth')))
