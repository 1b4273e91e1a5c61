# trains the model in demo/ further, and shows rare categories more often
_base_ = './instbox_deeplabv3-mobilenet-v2-d16_1xb8-5k_voc-plus-416x416.py'
load_from = 'work_dirs/first/iter_2000.pth'
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ClassBalancedDataset',
        oversample_thr=0.08,
        dataset={{_base_.train_dataloader.dataset}}))
param_scheduler = [
    _base_.param_scheduler[0],
    dict(_base_.param_scheduler[1], end=2500),
]
train_cfg = dict(max_iters=2500, val_interval=2500)
