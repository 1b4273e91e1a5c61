# for tools/test.py: overlapping tiles of the training size instead of the whole image
_base_ = '../instbox_fcrn-r50-d8_8xb1-80k_cityscapes-512x1024.py'
model = dict(test_cfg=dict(mode='slide', crop_size=(512, 1024), stride=(256, 512)))
