_base_ = [
    '../_base_/models/instbox_fcrn-r18-d8_narrow.py', '../_base_/datasets/shapes_160x160.py',
    '../_base_/schedules/schedule_adamw-poly-scratch_2k.py', '../_base_/default_runtime.py'
]
