_base_ = [
    '../_base_/models/instbox_mobilenet-v2-d16.py', '../_base_/datasets/voc-mini_352x352.py',
    '../_base_/schedules/schedule_adamw-poly_2k.py', '../_base_/default_runtime.py'
]
