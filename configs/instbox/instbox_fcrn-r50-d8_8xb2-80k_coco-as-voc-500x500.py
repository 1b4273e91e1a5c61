_base_ = [
    '../_base_/models/instbox_fcrn-r50-d8.py', '../_base_/datasets/coco-as-voc_500x500.py',
    '../_base_/schedules/schedule_sgd-poly_80k.py', '../_base_/default_runtime.py'
]
