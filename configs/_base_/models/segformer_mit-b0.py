# the model of a full mmseg config, so that data and schedules of ours fit beside it
_base_ = 'mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py'
model = _base_.model
_base_.clear()
