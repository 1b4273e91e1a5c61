# COCO 2017, read from its own files
_base_ = '../inst_dataset.py'
data = dict(type='CocoInstDataset', data_root='data/coco')
crop_size = (512, 512)
train_pipeline = [
    *_base_.load,
    dict(type='RandomResize', scale=(2048, 512), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size), *_base_.augment
]
test_pipeline = [
    _base_.load[0],
    dict(type='Resize', scale=(2048, 512), keep_ratio=True), *_base_.test_pipeline[1:]
]
train_dataloader = dict(
    dataset=dict(
        data,
        ann_file='annotations/instances_train2017.json',
        data_prefix=dict(img_path='train2017'),
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(
        data,
        ann_file='annotations/instances_val2017.json',
        data_prefix=dict(img_path='val2017'),
        pipeline=test_pipeline))
test_dataloader = val_dataloader
# COCO's figures are of its own file; the others of the maps that are painted from it
val_evaluator = [
    dict(type='InstBoxMetric'),
    dict(type='InstCocoMetric', ann_file=data['data_root'] + '/annotations/instances_val2017.json')
]
test_evaluator = [*val_evaluator, dict(type='InstPanopticMetric')]
