# the model of a full mmseg config, so that data and schedules of ours fit beside it
_base_ = 'mmseg::pidnet/pidnet-s_2xb6-120k_1024x1024-cityscapes.py'
model = _base_.model
_base_.clear()
