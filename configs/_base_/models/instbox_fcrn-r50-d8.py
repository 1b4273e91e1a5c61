_base_ = './fcrn_r50-d8.py'
norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    type='InstBoxSegmentor',
    box_head=dict(
        type='PixelBoxHead',
        in_channels=2048,
        in_index=3,
        channels=512,
        num_convs=1,
        dilation=12,
        norm_cfg=norm_cfg,
        # a share of the cells on things: 512 of a crop's 3,969 cells would keep all of them where
        # things cover less than 13 % of it
        sampler=dict(type='BootstrapPixelSampler', min_kept=0.5),
        coder=dict(type='PixelBoxCoder', scale=64),
        loss_decode=dict(type='SmoothL1Loss', beta=0.25, loss_weight=1.0)),
    grouper=dict(type='PixelBoxGrouper'))
