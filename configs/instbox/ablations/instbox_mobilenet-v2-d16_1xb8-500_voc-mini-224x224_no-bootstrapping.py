_base_ = './instbox_mobilenet-v2-d16_1xb8-500_voc-mini-224x224.py'
model = dict(decode_head=dict(sampler=None), box_head=dict(sampler=None))
