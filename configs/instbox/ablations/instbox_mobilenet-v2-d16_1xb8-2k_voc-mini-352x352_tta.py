# for tools/test.py --tta: three scales, each image and its mirror image
_base_ = './instbox_mobilenet-v2-d16_1xb8-2k_voc-mini-352x352_tta-flip.py'
_base_.tta_pipeline[1].transforms[0] = [
    dict(type='Resize', scale=(side, side), keep_ratio=True) for side in (320, 416, 512)
]
