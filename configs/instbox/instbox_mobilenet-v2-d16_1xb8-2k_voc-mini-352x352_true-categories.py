# for tools/test.py: beside the model's own figures, those that its boxes reach with true categories
_base_ = './instbox_mobilenet-v2-d16_1xb8-2k_voc-mini-352x352.py'
model = dict(test_cfg=dict(keep_boxes=True))
test_evaluator = [
    dict(type='InstBoxMetric'),
    dict(type='InstBoxMetric', prefix='true_categories', true_categories=True)
]
