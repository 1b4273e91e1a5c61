_base_ = [
    '../_base_/models/instbox_fcrn-r50-d8.py', '../_base_/datasets/cityscapes_512x1024.py',
    '../_base_/schedules/schedule_sgd-poly_80k.py', '../_base_/default_runtime.py'
]
# the things are the last eight of the 19 categories; none is background
model = dict(decode_head=dict(num_classes=19), thing_ids=list(range(11, 19)))
auto_scale_lr = dict(base_batch_size=8)  # 8 GPUs x 1
