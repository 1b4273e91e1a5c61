# COCO 2017 with the categories of PASCAL VOC, to train on before VOC
dataset_type = 'CocoAsVOCInstDataset'
data_root = 'data/coco'
crop_size = (500, 500)
train_pipeline = [
    dict(type='LoadInstImage'),
    dict(type='LoadInstAnnotations'),
    dict(type='RandomResize', scale=crop_size, ratio_range=(0.7, 1.3), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackInstInputs')
]
test_pipeline = [
    dict(type='LoadInstImage'),
    dict(type='LoadInstAnnotations'),
    dict(type='PackInstInputs')
]
train_dataloader = dict(
    batch_size=2,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='SeededInfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='annotations/instances_train2017.json',
        data_prefix=dict(img_path='train2017'),
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='annotations/instances_val2017.json',
        data_prefix=dict(img_path='val2017'),
        pipeline=test_pipeline))
test_dataloader = val_dataloader
# COCO's figures are of its own file; the others of the maps that are painted from it
val_evaluator = [
    dict(type='InstBoxMetric'),
    dict(type='InstCocoMetric', ann_file=data_root + '/annotations/instances_val2017.json')
]
test_evaluator = [*val_evaluator, dict(type='InstPanopticMetric')]
