_base_ = './schedule_sgd-poly_20k.py'
param_scheduler = [dict(_base_.param_scheduler[0], end=40000)]
train_cfg = dict(max_iters=40000, val_interval=2000)
