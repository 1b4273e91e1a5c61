_base_ = [
    '../_base_/models/instbox_deeplabv3-mobilenet-v2-d16.py',
    '../_base_/datasets/voc-plus_416x416.py', '../_base_/schedules/schedule_adamw-poly_5k.py',
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
