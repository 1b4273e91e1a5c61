_base_ = [
    '../_base_/models/instbox_deeplabv3-mobilenet-v2-d16.py',
    '../_base_/datasets/voc-plus_416x416.py', '../_base_/schedules/schedule_adamw-poly_2k.py',
    '../_base_/default_runtime.py'
]
load_from = 'checkpoints/deeplabv3_mobilenet-v2_voc12aug.pth'
# pretrained layers learn at 5e-5, new ones at 5e-4
new = dict(lr_mult=10.0)
optim_wrapper = dict(
    optimizer=dict(lr=5e-5),
    paramwise_cfg=dict(
        _delete_=True,
        custom_keys={
            'box_head': new,
            'decode_head.compress': new,
            'decode_head.correction': new
        },
        norm_decay_mult=0.0))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, begin=0, end=100, by_epoch=False),
    dict(type='PolyLR', eta_min=0.0, power=0.9, begin=100, end=5000, by_epoch=False)
]
train_cfg = dict(max_iters=5000, val_interval=1000)
