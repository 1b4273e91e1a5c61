_base_ = './fcrn-r50-d8_8xb2-20k_voc12-sbd-500x500.py'
model = dict(backbone=dict(depth=101, init_cfg=dict(checkpoint='open-mmlab://resnet101_v1c')))
