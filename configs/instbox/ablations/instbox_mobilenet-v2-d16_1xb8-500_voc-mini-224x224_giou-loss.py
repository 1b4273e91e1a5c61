_base_ = './instbox_mobilenet-v2-d16_1xb8-500_voc-mini-224x224.py'
model = dict(
    box_head=dict(loss_decode=dict(_delete_=True, type='GIoULoss', loss_weight=2.0)))
