"""How far scores are from the share of instances that are right, and a map that mends it."""
import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

_EPS = 1e-6  # scores are kept this far from 0 and 1


def expected_calibration_error(scores: np.ndarray, hits: np.ndarray, num_bins: int = 10) -> float:
    """Mean difference of score and precision over bins of score, weighted by their instances.

    Args:
        scores: ``(D,)`` float, 0 to 1.
        hits: ``(D,)`` bool, whether an instance is right.
        num_bins: Bins of equal width.

    Returns:
        float: 0 to 1; 0 without instances.
    """
    counts, score_sums, hit_sums = _bin_sums(scores, hits, num_bins)
    return float(np.abs(score_sums - hit_sums).sum() / max(counts.sum(), 1))


def reliability_table(scores: np.ndarray, hits: np.ndarray, num_bins: int = 10) -> np.ndarray:
    """Number, mean score and precision of the instances in each bin of score, ``(num_bins, 3)``;
    nan where a bin is empty. Arguments as of :func:`expected_calibration_error`."""
    counts, score_sums, hit_sums = _bin_sums(scores, hits, num_bins)
    filled = np.where(counts > 0, counts, np.nan)
    return np.stack([counts, score_sums / filled, hit_sums / filled], axis=1)


def fit_calibration(scores: np.ndarray, hits: np.ndarray) -> tuple[float, float]:
    """The map of scores under which the hits are most likely (Platt, 1999).

    Args:
        scores: ``(D,)`` float, 0 to 1.
        hits: ``(D,)`` bool.

    Returns:
        tuple: ``(a, b)``, a > 0, of ``sigmoid(a * logit(score) + b)``, as groupers take it.
    """
    odds = logit(np.clip(scores.astype(np.float64), _EPS, 1 - _EPS))

    def loss(params: np.ndarray) -> float:
        values = np.exp(params[0]) * odds + params[1]
        return float((np.logaddexp(0, values) - hits * values).mean())

    log_slope, offset = minimize(loss, [0., 0.]).x
    return float(np.exp(log_slope)), float(offset)


def calibrate(scores: np.ndarray, calibration: tuple[float, float]) -> np.ndarray:
    """Scores after the map of :func:`fit_calibration`."""
    slope, offset = calibration
    return expit(slope * logit(np.clip(scores, _EPS, 1 - _EPS)) + offset)


def best_threshold(scores: np.ndarray, hits: np.ndarray, num_objects: int) -> tuple[float, float]:
    """The score from which instances give the best F1.

    Args:
        scores: ``(D,)`` float.
        hits: ``(D,)`` bool.
        num_objects: Objects that could be found.

    Returns:
        tuple: The score and its F1; of equals the highest score.
    """
    order = np.argsort(-scores, kind='stable')
    f1 = 2 * np.cumsum(hits[order]) / (np.arange(1, len(order) + 1) + num_objects)
    last = np.append(np.diff(scores[order]) != 0, True)  # a threshold takes all of equal score
    best = np.flatnonzero(last)[f1[last].argmax()]
    return float(scores[order][best]), float(f1[best])


def _bin_sums(scores: np.ndarray, hits: np.ndarray, num_bins: int) -> tuple[np.ndarray, ...]:
    index = np.minimum((scores * num_bins).astype(int), num_bins - 1)
    return tuple(np.bincount(index, weights=each, minlength=num_bins)
                 for each in (np.ones(len(scores)), scores, hits.astype(float)))
