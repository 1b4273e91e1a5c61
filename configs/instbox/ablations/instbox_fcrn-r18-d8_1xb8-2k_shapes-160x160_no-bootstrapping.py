_base_ = '../instbox_fcrn-r18-d8_1xb8-2k_shapes-160x160.py'
model = dict(decode_head=dict(sampler=None), box_head=dict(sampler=None))
