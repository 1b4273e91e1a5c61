"""Calibration: how far scores are from the share of instances that are right, and its repair.

``scores`` are (D,) floats from 0 to 1; ``hits`` (D,) bool tell which instances are right.
"""
import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

_EPS = 1e-6  # scores are kept this far from 0 and 1


def reliability_table(scores: np.ndarray, hits: np.ndarray, num_bins: int = 10) -> np.ndarray:
    """Number, mean score and precision of the instances in each of the equal bins of score.

    The table is (num_bins, 3) float64; mean and precision are nan where a bin is empty.
    """
    index = np.minimum((scores * num_bins).astype(int), num_bins - 1)
    counts, score_sums, hit_sums = (np.bincount(index, weights=each, minlength=num_bins)
                                    for each in (np.ones(len(scores)), scores, hits.astype(float)))
    filled = np.where(counts > 0, counts, np.nan)
    return np.stack([counts, score_sums / filled, hit_sums / filled], axis=1)


def expected_calibration_error(scores: np.ndarray, hits: np.ndarray, num_bins: int = 10) -> float:
    """Mean difference of score and precision over bins, weighted by instances; 0 without any."""
    counts, mean_scores, precisions = reliability_table(scores, hits, num_bins).T
    return float(np.nansum(counts * np.abs(mean_scores - precisions)) / max(counts.sum(), 1))


def fit_calibration(scores: np.ndarray, hits: np.ndarray) -> tuple[float, float]:
    """Fit the map of scores under which the hits are most likely (Platt, 1999).

    Returns ``(a, b)``, a > 0, of ``sigmoid(a * logit(score) + b)``, as groupers take it.
    """
    odds = logit(np.clip(scores.astype(np.float64), _EPS, 1 - _EPS))

    def loss(params: np.ndarray) -> float:
        values = np.exp(params[0]) * odds + params[1]
        return float((np.logaddexp(0, values) - hits * values).mean())

    log_slope, offset = minimize(loss, [0., 0.]).x
    return float(np.exp(log_slope)), float(offset)


def calibrate(scores: np.ndarray, calibration: tuple[float, float]) -> np.ndarray:
    """Apply the map of :func:`fit_calibration` to scores."""
    slope, offset = calibration
    return expit(slope * logit(np.clip(scores, _EPS, 1 - _EPS)) + offset)


def best_threshold(scores: np.ndarray, hits: np.ndarray, num_objects: int) -> tuple[float, float]:
    """Find the score from which instances give the best F1 over ``num_objects``, and that F1.

    Of equals the highest score wins.
    """
    order = np.argsort(-scores, kind='stable')
    f1 = 2 * np.cumsum(hits[order]) / (np.arange(1, len(order) + 1) + num_objects)
    last = np.append(np.diff(scores[order]) != 0, True)  # a threshold takes all of equal score
    best = np.flatnonzero(last)[f1[last].argmax()]
    return float(scores[order][best]), float(f1[best])
