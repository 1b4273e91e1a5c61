# for tools/test.py: stride 4 instead of 8, from 2 x 2 shifted copies of each image
_base_ = '../instbox_fcrn-r18-d8_1xb8-2k_shapes-160x160.py'
model = dict(test_cfg=dict(shifts=2))
