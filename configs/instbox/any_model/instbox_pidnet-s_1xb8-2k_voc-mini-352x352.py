_base_ = ['../../_base_/models/pidnet-s.py', '../../_base_/any_model.py']
model = dict(
    type='InstBoxSegmentor',
    data_preprocessor=dict(size=None, size_divisor=32),
    # without class_weight, which is that of Cityscapes' 19 categories
    decode_head=dict(
        num_classes=21,
        align_corners=False,
        loss_decode=[{k: v for k, v in loss.items() if k != 'class_weight'}
                     for loss in _base_.model.decode_head.loss_decode]),
    # in training the backbone gives three branches: that of details, the integral one, borders
    box_head=dict(_base_.pop('box_head'), in_channels=128, in_index=1, input_transform=None))
# as in the data set's file, and the edges that PIDNet learns
train_pipeline = [
    *_base_.train_pipeline[:-1],
    dict(type='GenerateEdge', edge_width=4),
    _base_.train_pipeline[-1]
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
