_base_ = [
    '../_base_/models/instbox_fpn-r50-d16.py', '../_base_/datasets/voc12-sbd_500x500.py',
    '../_base_/schedules/schedule_sgd-poly_20k.py', '../_base_/default_runtime.py'
]
default_hooks = dict(checkpoint=dict(save_best='voc/APr_0.5'))
