# Batch normalisation learns its statistics on all GPUs together and residual blocks have no
# dropout, as in mmseg's FCN, so that the two differ in nothing else. The authors' later code
# freezes the statistics and has dropout: `backbone=dict(norm_eval=True, dropout=(0.3, 0.5))`.
norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='InstBoxDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        size_divisor=8),
    backbone=dict(
        type='FCRNResNet',
        depth=50,
        output_stride=8,
        out_indices=(0, 1, 2, 3),
        norm_cfg=norm_cfg,
        init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://resnet50_v1c')),
    decode_head=dict(
        type='FCRNHead',
        in_channels=2048,
        in_index=3,
        channels=512,
        num_convs=1,
        classifier_kernel=3,
        classifier_dilation=12,
        dropout_ratio=0.1,
        num_classes=21,
        norm_cfg=norm_cfg,
        sampler=dict(type='BootstrapPixelSampler', thresh=0.6, min_kept=512),
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.0)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
