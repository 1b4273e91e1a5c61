# from a trained model of other categories: their layers learn fastest
_base_ = './schedule_adamw-poly_2k.py'
category = dict(lr_mult=10.0)
optim_wrapper = dict(
    clip_grad=dict(_delete_=True, max_norm=10.0),
    paramwise_cfg=dict(
        _delete_=True,
        norm_decay_mult=0.0,
        custom_keys={
            'head': dict(lr_mult=3.0),
            'decode_head.conv_seg': category,
            'decode_head.correction': category
        }))
