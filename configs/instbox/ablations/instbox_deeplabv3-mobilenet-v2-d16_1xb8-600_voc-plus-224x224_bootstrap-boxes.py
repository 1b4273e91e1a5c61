_base_ = './instbox_deeplabv3-mobilenet-v2-d16_1xb8-600_voc-plus-224x224.py'
model = dict(decode_head=dict(sampler=None))
