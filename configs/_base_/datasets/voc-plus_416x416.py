# 2,950 photographs in PASCAL VOC's layout, and 200 of VOC's official val to evaluate on. Every
# other training image is shown whole, so that large objects are.
_base_ = './voc-mini_352x352.py'
crop_size = (416, 416)
train_pipeline = [
    *_base_.load,
    dict(
        type='RandomChoice',
        prob=[0.45, 0.55],
        transforms=[
            [dict(type='RandomResize', scale=(416, 416), ratio_range=(0.6, 1.0), keep_ratio=True)],
            [
                dict(type='RandomResize', scale=(416, 416), ratio_range=(1.0, 1.8),
                     keep_ratio=True),
                dict(type='RandomCrop', crop_size=crop_size)
            ],
        ]), *_base_.augment
]
test_pipeline = [
    _base_.load[0],
    dict(type='Resize', scale=(512, 512), keep_ratio=True), *_base_.test_pipeline[2:]
]
train_dataloader = dict(
    dataset=dict(ann_file='ImageSets/Segmentation/trainplus.txt', pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(ann_file='ImageSets/Segmentation/val_official.txt', pipeline=test_pipeline))
test_dataloader = val_dataloader
