# for small networks trained from scratch: one learning rate for all
_base_ = './schedule_adamw-poly_2k.py'
optim_wrapper = dict(
    optimizer=dict(lr=3e-3), paramwise_cfg=dict(custom_keys=dict(_delete_=True)))
param_scheduler = [
    dict(_base_.param_scheduler[0], start_factor=1e-2, end=50),
    dict(_base_.param_scheduler[1], begin=50)
]
train_cfg = dict(val_interval=2000)
default_hooks = dict(checkpoint=dict(interval=2000))
