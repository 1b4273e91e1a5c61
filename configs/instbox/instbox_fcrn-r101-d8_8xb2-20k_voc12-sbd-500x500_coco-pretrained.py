# starts from what tools/train.py leaves of the config named here
_base_ = './instbox_fcrn-r101-d8_8xb2-20k_voc12-sbd-500x500.py'
load_from = 'work_dirs/instbox_fcrn-r101-d8_8xb2-80k_coco-as-voc-500x500/iter_80000.pth'
