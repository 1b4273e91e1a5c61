# the backbone starts from ImageNet weights and learns at 1e-4, heads and neck at 5e-4
_base_ = '../default_hooks.py'
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.01),
    clip_grad=None,
    paramwise_cfg=dict(
        custom_keys=dict(head=dict(lr_mult=5.0), neck=dict(lr_mult=5.0)), norm_decay_mult=0.0))
# a config that changes `max_iters` gives its own `param_scheduler`, too
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, begin=0, end=100, by_epoch=False),
    dict(type='PolyLR', eta_min=0.0, power=0.9, begin=100, end=2000, by_epoch=False)
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=2000, val_interval=500)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(checkpoint=dict(interval=500))
