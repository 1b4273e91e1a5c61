# for tools/test.py: boxes and categories at stride 4, from 2 x 2 shifted copies of each image
_base_ = '../instbox_mobilenet-v2-d16_1xb8-2k_voc-mini-352x352.py'
model = dict(test_cfg=dict(shifts=2))
