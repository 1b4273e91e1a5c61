# the backbone starts from ImageNet weights and learns at 1e-4, the heads at 5e-4
optimizer = dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.01)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=optimizer,
    clip_grad=None,
    paramwise_cfg=dict(custom_keys=dict(head=dict(lr_mult=5.0)), norm_decay_mult=0.0))
# a config that changes `max_iters` gives its own `param_scheduler`, too
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, begin=0, end=100, by_epoch=False),
    dict(type='PolyLR', eta_min=0.0, power=0.9, begin=100, end=2000, by_epoch=False)
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=2000, val_interval=500)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='DurableCheckpointHook',
        by_epoch=False,
        interval=500,
        max_keep_ckpts=2,
        save_best='APr_0.5',
        rule='greater'),
    sampler_seed=dict(type='ResumableSeedHook'),
    plain_checkpoint=dict(type='PlainCheckpointHook'),
    loss_guard=dict(type='LossGuardHook', tolerated=10),
    visualization=dict(type='SegVisualizationHook'))
