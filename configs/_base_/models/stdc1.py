# the model of a full mmseg config, so that data and schedules of ours fit beside it
_base_ = 'mmseg::stdc/stdc1_in1k-pre_4xb12-80k_cityscapes-512x1024.py'
model = _base_.model
_base_.clear()
