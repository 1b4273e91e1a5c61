# What all data sets with instances have in common: loading and packing of images, the loaders and
# the metrics. A data set adds its files, and the size of its images between `load` and `augment`.
load = [dict(type='LoadInstImage'), dict(type='LoadInstAnnotations')]
augment = [
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackInstInputs')
]
test_pipeline = [*load, dict(type='PackInstInputs')]
train_dataloader = dict(
    batch_size=2,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='SeededInfiniteSampler', shuffle=True))
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='InstBoxMetric')
test_evaluator = [val_evaluator, dict(type='InstCocoMetric'), dict(type='InstPanopticMetric')]
