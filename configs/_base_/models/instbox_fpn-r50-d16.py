# ResNet-50 at stride 16 with heads at stride 8: they read a pyramid of 128 channels in place of the
# stages' 3,584, so that both together take little time beside the backbone (docs/benchmarks.md)
_base_ = './instbox_mobilenet-v2-d16.py'
norm_cfg = dict(type='SyncBN', requires_grad=True)
head = dict(in_channels=(128, 128, 128), in_index=(0, 1, 2), norm_cfg=norm_cfg)
model = dict(
    backbone=dict(
        _delete_=True,
        type='FCRNResNet',
        depth=50,
        output_stride=16,
        out_indices=(0, 1, 2, 3),
        norm_cfg=norm_cfg,
        init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://resnet50_v1c')),
    neck=dict(
        type='FPN',
        in_channels=[256, 512, 1024, 2048],
        start_level=1,
        out_channels=128,
        num_outs=3,
        norm_cfg=norm_cfg,
        act_cfg=dict(type='ReLU')),
    decode_head=head,
    box_head=dict(head, first_kernel=1))
