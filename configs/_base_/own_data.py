"""What `instbox train DATA` does with any data; the rest follows from the data and the time."""
_base_ = ['./default_runtime.py', './default_hooks.py']
# the layers that know categories are new and learn fastest, the backbone slowest
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.01),
    clip_grad=dict(max_norm=10.),
    paramwise_cfg=dict(norm_decay_mult=0., custom_keys={
        'decode_head': dict(lr_mult=3.), 'box_head': dict(lr_mult=3.),
        'decode_head.conv_seg': dict(lr_mult=10.), 'decode_head.correction': dict(lr_mult=10.)}))
# `warmup`: the part of the training in which the learning rates rise
train_cfg = dict(type='BudgetTrainLoop', validations=15, warmup=0.03)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
# APr_vol is smoother than AP50, and less about borders than AP
default_hooks = dict(
    logger=dict(interval=10), checkpoint=dict(max_keep_ckpts=1, save_best='APr_vol'))
custom_hooks = [dict(type='EarlyStoppingHook', monitor='APr_vol', rule='greater', min_delta=0.002,
                     patience=10)]
