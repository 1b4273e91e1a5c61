import numpy as np
import pytest

from mmseg_instbox.evaluation.functional.calibration import (
    best_threshold,
    calibrate,
    expected_calibration_error,
    fit_calibration,
    reliability_table,
)


def test_error_of_two_bins_by_hand():
    scores, hits = np.array([0.1, 0.1, 0.9, 0.9]), np.array([0, 1, 1, 1], bool)
    assert expected_calibration_error(scores, hits, 2) == pytest.approx((0.8 + 0.2) / 4)
    assert np.allclose(reliability_table(scores, hits, 2), [[2, 0.1, 0.5], [2, 0.9, 1]])
    assert expected_calibration_error(scores[:0], hits[:0]) == 0


def test_a_perfect_score_is_in_the_last_bin():
    table = reliability_table(np.array([1.0]), np.array([True]), 5)
    assert table[-1].tolist() == [1, 1, 1] and np.isnan(table[:-1, 1:]).all()


def test_the_fit_finds_the_map_that_made_the_hits():
    rng = np.random.default_rng(0)
    scores = rng.uniform(0.02, 0.9, 40000)
    hits = rng.uniform(size=len(scores)) < calibrate(scores, (1.7, 0.8))
    assert fit_calibration(scores, hits) == pytest.approx((1.7, 0.8), abs=0.06)
    mapped = calibrate(scores, fit_calibration(scores, hits))
    assert expected_calibration_error(mapped, hits) < 0.01
    assert expected_calibration_error(scores, hits) > 0.1
    assert np.array_equal(np.argsort(mapped), np.argsort(scores))


def test_the_best_threshold_by_trying_all():
    rng = np.random.default_rng(1)
    scores = rng.integers(1, 20, 60) / 20
    hits = rng.uniform(size=60) < scores

    def f1(threshold):
        kept = scores >= threshold
        return 2 * hits[kept].sum() / (kept.sum() + 40)

    threshold, value = best_threshold(scores, hits, 40)
    assert value == pytest.approx(max(f1(each) for each in np.unique(scores)))
    assert f1(threshold) == pytest.approx(value)
