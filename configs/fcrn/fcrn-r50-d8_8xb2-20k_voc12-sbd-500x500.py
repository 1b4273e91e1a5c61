_base_ = [
    '../_base_/models/fcrn_r50-d8.py', '../_base_/datasets/voc12-sbd_500x500.py',
    '../_base_/schedules/schedule_sgd-poly_20k.py', '../_base_/default_runtime.py'
]
val_evaluator = dict(_delete_=True, type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
default_hooks = dict(checkpoint=dict(save_best='mIoU'))
