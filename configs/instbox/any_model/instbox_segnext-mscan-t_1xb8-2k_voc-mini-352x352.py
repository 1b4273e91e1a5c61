_base_ = ['../../_base_/models/segnext_mscan-t.py', '../../_base_/any_model.py']
model = dict(
    type='InstBoxSegmentor',
    data_preprocessor=dict(size=None, size_divisor=32),
    decode_head=dict(num_classes=21),
    box_head=dict(_base_.pop('box_head'), in_channels=[64, 160, 256]))
