# a longer training, so a wider range of sizes; a box head with a third of the multiplications
_base_ = [
    '../_base_/models/instbox_mobilenet-v2-d16.py', '../_base_/datasets/voc-mini_352x352.py',
    '../_base_/schedules/schedule_adamw-poly_5k.py', '../_base_/default_runtime.py'
]
model = dict(box_head=dict(first_kernel=1))
_base_.train_pipeline[2].ratio_range = (0.5, 1.5)
train_dataloader = dict(dataset=dict(pipeline=_base_.train_pipeline))
