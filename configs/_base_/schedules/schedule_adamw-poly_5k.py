_base_ = './schedule_adamw-poly_2k.py'
param_scheduler = [_base_.param_scheduler[0], dict(_base_.param_scheduler[1], end=5000)]
train_cfg = dict(max_iters=5000, val_interval=1000)
