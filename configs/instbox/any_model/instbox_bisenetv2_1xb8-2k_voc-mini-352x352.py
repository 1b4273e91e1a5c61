_base_ = ['mmseg::_base_/models/bisenetv2.py', '../../_base_/any_model.py']
model = dict(
    type='InstBoxSegmentor',
    decode_head=dict(num_classes=21),
    auxiliary_head=[dict(head, num_classes=21) for head in _base_.model.auxiliary_head],
    box_head=dict(_base_.pop('box_head'), in_channels=128, in_index=0, input_transform=None))
