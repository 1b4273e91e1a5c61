_base_ = './instbox_mobilenet-v2-d16_1xb8-500_voc-mini-224x224.py'
model = dict(box_head=dict(sampler=None))
