_base_ = './instbox_fcrn-r50-d8_8xb1-80k_cityscapes-512x1024.py'
model = dict(backbone=dict(depth=101, init_cfg=dict(checkpoint='open-mmlab://resnet101_v1c')))
