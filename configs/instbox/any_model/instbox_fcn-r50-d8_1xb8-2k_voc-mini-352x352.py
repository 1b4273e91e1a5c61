_base_ = ['mmseg::_base_/models/fcn_r50-d8.py', '../../_base_/any_model.py']
model = dict(
    type='InstBoxSegmentor',
    decode_head=dict(num_classes=21),
    auxiliary_head=dict(num_classes=21),
    box_head=dict(_base_.pop('box_head'), in_channels=2048, in_index=3, input_transform=None))
