_base_ = './schedule_sgd-poly_20k.py'
param_scheduler = [dict(_base_.param_scheduler[0], end=160000)]
train_cfg = dict(max_iters=160000, val_interval=8000)
default_hooks = dict(checkpoint=dict(interval=8000))
