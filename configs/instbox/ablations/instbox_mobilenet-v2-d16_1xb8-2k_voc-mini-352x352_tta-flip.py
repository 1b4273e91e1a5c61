# for tools/test.py --tta: each image and its mirror image
_base_ = '../instbox_mobilenet-v2-d16_1xb8-2k_voc-mini-352x352.py'
tta_model = dict(type='InstBoxTTAModel', box_merge='mean')
tta_pipeline = [
    dict(type='LoadInstImage'),
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(type='Resize', scale=(416, 416), keep_ratio=True)],
            [dict(type='RandomFlip', prob=prob, direction='horizontal') for prob in (0., 1.)],
            [dict(type='LoadInstAnnotations')],
            [dict(type='PackInstInputs')]
        ])
]
