# short enough for two CPU cores: the base of the ablations that can be trained there
_base_ = [
    '../../_base_/models/instbox_mobilenet-v2-d16.py', '../../_base_/datasets/voc-mini_224x224.py',
    '../../_base_/schedules/schedule_adamw-poly_500.py', '../../_base_/default_runtime.py'
]
