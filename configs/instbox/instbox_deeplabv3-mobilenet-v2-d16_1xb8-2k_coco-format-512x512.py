# fine-tunes the model in demo/ on data in COCO's format; `instbox train DATA` does without a config
_base_ = [
    '../_base_/models/instbox_deeplabv3-mobilenet-v2-d16.py',
    '../_base_/datasets/coco-format_512x512.py', '../_base_/schedules/schedule_adamw-poly_2k.py',
    '../_base_/default_runtime.py'
]
model = dict(decode_head=dict(num_classes=3))
# but for the layers of its categories
load_from = '{{ fileDirname }}/../../demo/instbox_mobilenet-v2_voc20.pth'
category = dict(lr_mult=10.0)
optim_wrapper = dict(
    clip_grad=dict(_delete_=True, max_norm=10.0),
    paramwise_cfg=dict(
        _delete_=True,
        norm_decay_mult=0.0,
        custom_keys={
            'head': dict(lr_mult=3.0),
            'decode_head.conv_seg': category,
            'decode_head.correction': category
        }))
default_hooks = dict(checkpoint=dict(save_best='AP50'))
