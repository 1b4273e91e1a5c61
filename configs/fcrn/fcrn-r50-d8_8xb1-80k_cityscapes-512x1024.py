_base_ = [
    '../_base_/models/fcrn_r50-d8.py', '../_base_/datasets/cityscapes_512x1024.py',
    '../_base_/schedules/schedule_sgd-poly_80k.py', '../_base_/default_runtime.py'
]
model = dict(decode_head=dict(num_classes=19))
val_evaluator = dict(_delete_=True, type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
default_hooks = dict(checkpoint=dict(save_best='mIoU'))
auto_scale_lr = dict(base_batch_size=8)  # 8 GPUs x 1
