_base_ = './schedule_adamw-poly_2k.py'
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, begin=0, end=100, by_epoch=False),
    dict(type='PolyLR', eta_min=0.0, power=0.9, begin=100, end=5000, by_epoch=False)
]
train_cfg = dict(max_iters=5000, val_interval=1000)
