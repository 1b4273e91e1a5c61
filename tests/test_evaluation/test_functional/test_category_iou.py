import numpy as np
import pytest
import torch
from mmseg.evaluation.metrics import IoUMetric

from mmseg_instbox.evaluation.functional import category_areas


@pytest.mark.parametrize('num_classes', [1, 4, 21, 150, 255])
def test_agrees_with_mmseg(num_classes):
    random = np.random.default_rng(num_classes)
    predicted, truth = random.integers(0, num_classes, (2, 30, 40)).astype(np.uint8)
    truth[random.random(truth.shape) < 0.2] = 255
    areas = IoUMetric.intersect_and_union(
        torch.from_numpy(predicted), torch.from_numpy(truth), num_classes, 255)
    intersect, union = category_areas(predicted, truth, num_classes)
    assert intersect.tolist() == areas[0].tolist() and union.tolist() == areas[1].tolist()
    assert 0 < intersect.sum() < union.sum() or num_classes == 1


def test_by_hand():
    intersect, union = category_areas(np.array([[0, 1, 1, 2]]), np.array([[0, 1, 2, 255]]), 3)
    assert intersect.tolist() == [1, 1, 0]
    assert union.tolist() == [1, 2, 1]  # the 2 that is predicted on void does not count
