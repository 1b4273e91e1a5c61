_base_ = [
    '../_base_/models/fcrn_r50-d8.py', 'mmseg::_base_/datasets/pascal_context.py',
    '../_base_/schedules/schedule_sgd-poly_40k.py', '../_base_/default_runtime.py'
]
model = dict(decode_head=dict(num_classes=60))
train_dataloader = dict(batch_size=2, sampler=dict(type='SeededInfiniteSampler'))
default_hooks = dict(checkpoint=dict(save_best='mIoU'))
