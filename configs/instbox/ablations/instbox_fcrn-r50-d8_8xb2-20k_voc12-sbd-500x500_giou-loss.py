_base_ = '../instbox_fcrn-r50-d8_8xb2-20k_voc12-sbd-500x500.py'
model = dict(
    box_head=dict(loss_decode=dict(_delete_=True, type='GIoULoss', loss_weight=1.0)))
