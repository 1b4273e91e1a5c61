# some 1,000 images in PASCAL VOC's layout; the list val_coco holds crowded ones
_base_ = '../inst_dataset.py'
data = dict(type='VOCInstDataset', data_root='data/voc_mini/VOCdevkit/VOC2012')
crop_size = (352, 352)
train_pipeline = [
    *_base_.load,
    dict(type='RandomResize', scale=(416, 416), ratio_range=(0.7, 1.35), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size), *_base_.augment
]
test_pipeline = [
    _base_.load[0],
    dict(type='Resize', scale=(416, 416), keep_ratio=True), *_base_.test_pipeline[1:]
]
train_dataloader = dict(
    batch_size=8,
    dataset=dict(data, ann_file='ImageSets/Segmentation/trainaug.txt', pipeline=train_pipeline))
val_dataloader = dict(
    num_workers=1,
    dataset=dict(data, ann_file='ImageSets/Segmentation/val.txt', pipeline=test_pipeline))
test_dataloader = val_dataloader
