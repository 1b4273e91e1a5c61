_base_ = './fcrn-r50-d8_8xb2-160k_coco-512x512.py'
model = dict(backbone=dict(depth=101, init_cfg=dict(checkpoint='open-mmlab://resnet101_v1c')))
