# a quarter of ResNet-18's width, trained from scratch
_base_ = './instbox_fcrn-r50-d8.py'
norm_cfg = dict(type='BN', requires_grad=True)
head = dict(in_channels=128, channels=64, norm_cfg=norm_cfg)
model = dict(
    data_preprocessor=dict(channels_last=True),
    backbone=dict(depth=18, stem_channels=16, base_channels=16, norm_cfg=norm_cfg, init_cfg=None),
    decode_head=dict(
        head,
        classifier_dilation=2,
        dropout_ratio=0,
        num_classes=7,
        sampler=dict(thresh=0.7, min_kept=64)),
    box_head=dict(
        head, dilation=2, coder=dict(scale=32), loss_decode=dict(loss_weight=2.0)),
    # its boxes are clean, so a smaller gain suffices to tell objects apart
    grouper=dict(min_gain=0.08))
