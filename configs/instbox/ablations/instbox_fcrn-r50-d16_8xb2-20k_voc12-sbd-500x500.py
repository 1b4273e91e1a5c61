_base_ = '../instbox_fcrn-r50-d8_8xb2-20k_voc12-sbd-500x500.py'
model = dict(
    data_preprocessor=dict(size_divisor=16),
    backbone=dict(output_stride=16),
    decode_head=dict(classifier_dilation=6),
    box_head=dict(dilation=6))
