_base_ = './instbox_mobilenet-v2-d16_1xb8-2k_voc-mini-352x352.py'
model = dict(backbone=dict(strides=(1, 2, 2, 1, 1, 1, 1), dilations=(1, 1, 1, 2, 2, 4, 4)))
