# fine-tunes the model in demo/ on generated shapes, in minutes on two CPU cores: `make quickstart`
_base_ = [
    '../_base_/models/instbox_deeplabv3-mobilenet-v2-d16.py',
    '../_base_/datasets/shapes_160x160.py',
    '../_base_/schedules/schedule_adamw-poly-finetune_2k.py', '../_base_/default_runtime.py'
]
# its boxes are clean, so a smaller gain suffices to tell objects apart
model = dict(decode_head=dict(num_classes=7), grouper=dict(min_gain=0.08))
load_from = '{{ fileDirname }}/../../demo/instbox_mobilenet-v2_voc20.pth'
optim_wrapper = dict(optimizer=dict(lr=4e-4))
param_scheduler = [
    dict(_base_.param_scheduler[0], start_factor=1e-2, end=30),
    dict(_base_.param_scheduler[1], begin=30, end=500)
]
train_cfg = dict(max_iters=500, val_interval=500)
default_hooks = dict(checkpoint=dict(interval=500))
