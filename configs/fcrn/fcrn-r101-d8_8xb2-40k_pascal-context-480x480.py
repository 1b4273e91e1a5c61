_base_ = './fcrn-r50-d8_8xb2-40k_pascal-context-480x480.py'
model = dict(backbone=dict(depth=101, init_cfg=dict(checkpoint='open-mmlab://resnet101_v1c')))
