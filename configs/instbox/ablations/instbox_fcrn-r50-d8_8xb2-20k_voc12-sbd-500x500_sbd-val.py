# for tools/test.py: SBD's masks, which have no void, instead of VOC's
_base_ = '../instbox_fcrn-r50-d8_8xb2-20k_voc12-sbd-500x500.py'
test_dataloader = dict(
    dataset=dict(
        data_prefix=dict(
            img_path='JPEGImages',
            seg_map_path='SegmentationClassSBD',
            inst_map_path='SegmentationObjectSBD'),
        ann_file='ImageSets/Segmentation/val_sbd.txt'))
test_evaluator = [dict(metric, prefix='sbd') for metric in _base_.test_evaluator]
