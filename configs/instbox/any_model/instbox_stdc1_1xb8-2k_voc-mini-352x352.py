_base_ = ['../../_base_/models/stdc1.py', '../../_base_/any_model.py']
model = dict(
    type='InstBoxSegmentor',
    data_preprocessor=dict(size=None, size_divisor=32),
    decode_head=dict(num_classes=21, align_corners=False),
    # the last one learns borders, not categories
    auxiliary_head=[
        *(dict(head, num_classes=21) for head in _base_.model.auxiliary_head[:2]),
        _base_.model.auxiliary_head[2]
    ],
    box_head=dict(_base_.pop('box_head'), in_channels=256, in_index=3, input_transform=None))
