import json

import numpy as np
import pytest
from metric_samples import evaluate, random_sample

from mmseg_instbox.evaluation import InstBoxMetric, InstCocoMetric, InstPanopticMetric
from mmseg_instbox.evaluation.metrics.base_metric import category_rows, format_table


def make_rows():
    of_classes = {'IoU': np.array([0.5, np.nan, 1.]), 'PQ': np.array([0.75, 0., 0.5])}
    of_things = {'APr_0.5': np.array([0.25, np.nan]), 'APr_vol': np.array([0.125, np.nan]),
                 'objects': np.array([4, 0])}
    return category_rows(('background', 'cat', 'dog'), ('dog', 'cat'), of_classes, of_things)


def test_rows_pair_things_by_name():
    rows = make_rows()
    assert rows[2] == {'category': 'dog', 'IoU': 1., 'PQ': .5, 'APr_0.5': .25, 'APr_vol': .125,
                       'objects': 4}
    assert rows[1] == {'category': 'cat', 'IoU': None, 'PQ': 0., 'APr_0.5': None, 'APr_vol': None,
                       'objects': 0}
    assert rows[0]['objects'] is None and rows[0]['IoU'] == 0.5
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows


def test_text_has_a_line_a_category_and_dashes():
    lines = [[cell.strip() for cell in line.strip('|').split('|')]
             for line in format_table(make_rows()).splitlines() if line.startswith('|')]
    # no AP in the rows, so no such column
    assert lines == [['category', 'IoU', 'APr_0.5', 'APr_vol', 'PQ', 'objects'],
                     ['background', '0.5000', '-', '-', '0.7500', '-'],
                     ['cat', '-', '-', '-', '0.0000', '0'],
                     ['dog', '1.0000', '0.2500', '0.1250', '0.5000', '4']]


@pytest.mark.parametrize('metric', [InstBoxMetric, InstCocoMetric, InstPanopticMetric])
def test_metrics_report_what_they_say(metric):
    assert tuple(evaluate([random_sample(0)], [metric()])) == metric.figures
