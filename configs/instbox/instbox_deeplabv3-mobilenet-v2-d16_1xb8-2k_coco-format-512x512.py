# fine-tunes the model in demo/ on data in COCO's format; `instbox train DATA` does without a config
_base_ = [
    '../_base_/models/instbox_deeplabv3-mobilenet-v2-d16.py',
    '../_base_/datasets/coco-format_512x512.py',
    '../_base_/schedules/schedule_adamw-poly-finetune_2k.py', '../_base_/default_runtime.py'
]
model = dict(decode_head=dict(num_classes=3))
# but for the layers of its categories
load_from = '{{ fileDirname }}/../../demo/instbox_mobilenet-v2_voc20.pth'
default_hooks = dict(checkpoint=dict(save_best='AP50'))
