_base_ = [
    '../_base_/models/fcrn_r50-d8.py', '../_base_/datasets/coco_512x512.py',
    '../_base_/schedules/schedule_sgd-poly_160k.py', '../_base_/default_runtime.py'
]
model = dict(decode_head=dict(num_classes=81))
val_evaluator = dict(_delete_=True, type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
default_hooks = dict(checkpoint=dict(save_best='mIoU'))
