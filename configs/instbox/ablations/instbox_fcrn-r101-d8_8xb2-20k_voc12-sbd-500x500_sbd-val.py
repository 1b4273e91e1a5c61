# for tools/test.py: SBD's masks, which have no void, instead of VOC's
_base_ = '../instbox_fcrn-r101-d8_8xb2-20k_voc12-sbd-500x500.py'
test_dataloader = dict(
    dataset=dict(
        data_prefix=dict(
            img_path='JPEGImages',
            seg_map_path='SegmentationClassSBD',
            inst_map_path='SegmentationObjectSBD'),
        ann_file='ImageSets/Segmentation/val_sbd.txt'))
test_evaluator = [
    dict(type='InstBoxMetric', prefix='sbd'),
    dict(type='InstCocoMetric', prefix='sbd'),
    dict(type='InstPanopticMetric', prefix='sbd')
]
