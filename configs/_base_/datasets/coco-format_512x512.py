# Your own data as instances JSON in COCO's format, which `instbox convert DATA --format coco` makes
# of any other. Change data_root, the names and the files.
_base_ = '../inst_dataset.py'
data = dict(
    type='CocoInstDataset',
    data_root='data/my_coco',
    data_prefix=dict(img_path='images'),
    metainfo=dict(classes=('background', 'disc', 'star')))
crop_size = (416, 416)
train_pipeline = [
    *_base_.load,
    dict(
        type='RandomChoice',
        prob=[0.4, 0.6],
        transforms=[
            [dict(type='RandomResize', scale=(416, 416), ratio_range=(0.6, 1.0), keep_ratio=True)],
            [
                dict(type='RandomResize', scale=(512, 512), ratio_range=(0.6, 1.6),
                     keep_ratio=True),
                dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.9)
            ],
        ]), *_base_.augment
]
test_pipeline = [
    _base_.load[0],
    dict(type='Resize', scale=(512, 512), keep_ratio=True), *_base_.test_pipeline[1:]
]
train_dataloader = dict(
    batch_size=8, dataset=dict(data, ann_file='train.json', pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data, ann_file='val.json', pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = [
    dict(type='InstBoxMetric'),
    dict(type='InstCocoMetric', ann_file=data['data_root'] + '/val.json')
]
test_evaluator = [*val_evaluator, dict(type='InstPanopticMetric')]
