# PASCAL VOC 2012 with SBD's annotations, put together by tools/dataset_converters/sbd.py
_base_ = '../inst_dataset.py'
data = dict(type='VOCInstDataset', data_root='data/VOCdevkit/VOC2012')
crop_size = (500, 500)
train_pipeline = [
    *_base_.load,
    dict(type='RandomResize', scale=crop_size, ratio_range=(0.7, 1.3), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size), *_base_.augment
]
train_dataloader = dict(
    dataset=dict(
        data,
        data_prefix=dict(
            img_path='JPEGImages',
            seg_map_path='SegmentationClassAug',
            inst_map_path='SegmentationObjectAug'),
        ann_file='ImageSets/Segmentation/trainaug.txt',
        pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data, ann_file='ImageSets/Segmentation/val.txt'))
test_dataloader = val_dataloader
# the prefix tells these figures from those of SBD's masks, see InstBoxMetric
val_evaluator = dict(prefix='voc')
test_evaluator = [dict(metric, prefix='voc') for metric in _base_.test_evaluator]
