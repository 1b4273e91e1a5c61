# as voc-mini_352x352, at a smaller size
dataset_type = 'VOCInstDataset'
data_root = 'data/voc_mini/VOCdevkit/VOC2012'
crop_size = (224, 224)
train_pipeline = [
    dict(type='LoadInstImage'),
    dict(type='LoadInstAnnotations'),
    dict(type='RandomResize', scale=(256, 256), ratio_range=(0.7, 1.35), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackInstInputs')
]
test_pipeline = [
    dict(type='LoadInstImage'),
    dict(type='Resize', scale=(256, 256), keep_ratio=True),
    dict(type='LoadInstAnnotations'),
    dict(type='PackInstInputs')
]
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='SeededInfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='ImageSets/Segmentation/trainaug.txt',
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='ImageSets/Segmentation/val.txt',
        pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='InstBoxMetric')
test_evaluator = [val_evaluator, dict(type='InstCocoMetric'), dict(type='InstPanopticMetric')]
