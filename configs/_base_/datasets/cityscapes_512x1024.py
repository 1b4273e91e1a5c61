# Cityscapes, read from its own files
_base_ = '../inst_dataset.py'
data = dict(type='CityscapesInstDataset', data_root='data/cityscapes')
crop_size = (512, 1024)
train_pipeline = [
    *_base_.load,
    dict(type='RandomResize', scale=(2048, 1024), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size), *_base_.augment
]
train_dataloader = dict(
    batch_size=1,
    dataset=dict(
        data,
        data_prefix=dict(img_path='leftImg8bit/train', seg_map_path='gtFine/train'),
        pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(
        data,
        data_prefix=dict(img_path='leftImg8bit/val', seg_map_path='gtFine/val')))
test_dataloader = val_dataloader
