# the model of a full mmseg config, so that data and schedules of ours fit beside it
_base_ = 'mmseg::mobilenet_v2/mobilenet-v2-d8_fcn_4xb2-80k_cityscapes-512x1024.py'
model = _base_.model
_base_.clear()
