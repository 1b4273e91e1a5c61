# a schedule sets `checkpoint.interval` to its own length
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='DurableCheckpointHook',
        by_epoch=False,
        interval=2000,
        max_keep_ckpts=2,
        save_best='APr_0.5',
        rule='greater'),
    sampler_seed=dict(type='ResumableSeedHook'),
    plain_checkpoint=dict(type='PlainCheckpointHook'),
    loss_guard=dict(type='LossGuardHook', tolerated=10),
    visualization=dict(type='SegVisualizationHook'))
