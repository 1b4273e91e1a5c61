# for small networks trained from scratch: one learning rate for all
_base_ = './schedule_adamw-poly_2k.py'
optimizer = dict(lr=3e-3)
optim_wrapper = dict(optimizer=optimizer, paramwise_cfg=dict(custom_keys=dict(_delete_=True)))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-2, begin=0, end=50, by_epoch=False),
    dict(type='PolyLR', eta_min=0.0, power=0.9, begin=50, end=2000, by_epoch=False)
]
train_cfg = dict(max_iters=2000, val_interval=2000)
default_hooks = dict(checkpoint=dict(interval=2000))
