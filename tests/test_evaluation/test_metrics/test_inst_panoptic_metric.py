"""Panoptic quality against sets of pixels, and by hand."""
import json

import numpy as np
import pytest
import torch
from metric_samples import evaluate, make_sample, random_sample, slow_panoptic_quality
from mmseg.registry import METRICS

from mmseg_instbox.evaluation import InstPanopticMetric

KEYS = ['PQ', 'SQ', 'RQ', 'PQ_things', 'PQ_stuff']


def test_is_registered_in_mmseg():
    assert isinstance(METRICS.build(dict(type='InstPanopticMetric')), InstPanopticMetric)


@pytest.mark.parametrize('first', [0, 100])
def test_agrees_with_slow_implementation(first):
    samples = [nearly_right(random_sample(seed), seed) for seed in range(first, first + 12)]
    figures = evaluate(samples, [InstPanopticMetric()])
    expected = slow_panoptic_quality(samples)
    assert all(0.02 < each[0] < 0.98 for each in expected)
    for index, key in enumerate(('PQ', 'SQ', 'RQ')):
        mean = sum(each[index] for each in expected) / 4
        assert figures[key] == pytest.approx(float(mean), abs=1e-12)
    for key, (one, other) in dict(PQ_things=(1, 3), PQ_stuff=(0, 2)).items():
        mean = (expected[one][0] + expected[other][0]) / 2
        assert figures[key] == pytest.approx(float(mean), abs=1e-12)


def nearly_right(sample, seed):
    """Put road into the truth, thing pixels without an object and void; predict most of it."""
    random = np.random.default_rng(seed)
    truth = sample.gt_sem_seg.data[0]
    free = sample.gt_inst_map.data[0] == 0
    for category, column in ((2, slice(0, 5)), (3, slice(7, 8)), (255, slice(9, 10))):
        truth[:, column][free[:, column]] = category
    right = torch.from_numpy(random.random(truth.shape) < random.uniform(.6, 1.)) & (truth < 255)
    predicted = sample.pred_sem_seg.data[0]
    predicted[right] = truth[right]
    # else the mask at random, of score up to 1, would cut most of the instances
    sample.pred_instances.scores[0] = 0.
    return sample


def test_perfect_panoptic_map():
    inst_map = np.array([[1, 1, 0, 2, 0], [1, 1, 0, 2, 0]])
    sample = make_sample(inst_map, [0, 1], [inst_map == 1, inst_map == 2], [0, 1], [.9, .8])
    figures = evaluate([sample], [InstPanopticMetric()])
    assert figures == dict.fromkeys(KEYS, 1.)


def test_stuff_in_place_of_an_object():
    inst_map = np.zeros((4, 8), int)
    inst_map[:, :4] = 5
    sample = make_sample(inst_map, [0], [], [], [], pred_sem_seg=np.full((4, 8), 2))
    # road everywhere: no dog, no background, one false road
    assert evaluate([sample], [InstPanopticMetric()])['PQ'] == 0.


def test_figures_of_each_category_in_a_file(tmp_path):
    out_file, row = tmp_path / 'figures.json', np.array([[1, 1, 0]])
    sample = make_sample(row, [0], [row == 1], [0], [.5])
    figures = evaluate([sample], [InstPanopticMetric(out_file=str(out_file), prefix='a')])
    content = json.loads(out_file.read_text())
    assert content['metrics'] == figures == {f'a/{key}': 1. for key in KEYS}
    rows = {entry['category']: entry for entry in content['categories']}
    assert rows['dog']['SQ'] == rows['background']['PQ'] == 1. and rows['cat']['PQ'] is None
