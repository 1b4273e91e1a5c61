_base_ = '../instbox_fcrn-r50-d8_8xb2-20k_voc12-sbd-500x500.py'
model = dict(type='LocaliserSegmentor', own_backbone=False, freeze_categories=True)
load_from = 'work_dirs/fcrn-r50-d8_8xb2-20k_voc12-sbd-500x500/iter_20000.pth'
