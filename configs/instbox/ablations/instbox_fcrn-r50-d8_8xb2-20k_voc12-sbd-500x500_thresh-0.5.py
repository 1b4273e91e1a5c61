_base_ = '../instbox_fcrn-r50-d8_8xb2-20k_voc12-sbd-500x500.py'
model = dict(decode_head=dict(sampler=dict(thresh=0.5)))
