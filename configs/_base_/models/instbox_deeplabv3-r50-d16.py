# The heads of the model in demo/ on ResNet-50, from ImageNet weights: their convolutions on the
# 2,048 channels of the last stage are 1 x 1, so that both together take little time beside the
# backbone (docs/benchmarks.md)
_base_ = './instbox_deeplabv3-mobilenet-v2-d16.py'
norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    backbone=dict(
        _delete_=True,
        type='FCRNResNet',
        depth=50,
        output_stride=16,
        out_indices=(0, 1, 2, 3),
        norm_cfg=norm_cfg,
        init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://resnet50_v1c')),
    decode_head=dict(
        in_channels=2048,
        fine_in_channels=(256, ),
        fine_in_index=(0, ),
        norm_cfg=dict(norm_cfg, _delete_=True),
        fine_norm_cfg=norm_cfg),
    box_head=dict(in_channels=(512, 1024, 2048), norm_cfg=norm_cfg),
    grouper=dict(calibration=None))
