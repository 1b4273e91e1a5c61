# COCO 2017 with the categories of PASCAL VOC, to train on before VOC
_base_ = './coco_512x512.py'
dataset_type = 'CocoAsVOCInstDataset'
crop_size = (500, 500)
train_pipeline = [
    *_base_.load,
    dict(type='RandomResize', scale=crop_size, ratio_range=(0.7, 1.3), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size), *_base_.augment
]
test_pipeline = [*_base_.load, _base_.augment[-1]]
train_dataloader = dict(dataset=dict(type=dataset_type, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(type=dataset_type, pipeline=test_pipeline))
test_dataloader = val_dataloader
