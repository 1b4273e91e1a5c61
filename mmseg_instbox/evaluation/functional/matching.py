"""Greedy matching of detections to objects, as in the SDS evaluation."""
from collections.abc import Sequence

import numpy as np


def match_detections(ious: np.ndarray, pred_labels: np.ndarray, gt_labels: np.ndarray,
                     scores: np.ndarray, thresholds: Sequence[float]) -> np.ndarray:
    """Tell for each detection of an image whether it finds an object.

    Detections come in order of falling score, ties in the order given. Each one looks at the
    objects of its category that no earlier detection has taken, and takes the one of largest IoU
    (the first of equals) when that IoU is strictly above the threshold. So a second detection of
    an object is a false one, unless another free object lies under it as well.

    Args:
        ious (ndarray): IoU of K detections with G objects, (K, G) float64.
        pred_labels (ndarray): Category of each detection, (K,) int.
        gt_labels (ndarray): Category of each object, (G,) int.
        scores (ndarray): Score of each detection, (K,) float.
        thresholds (Sequence[float]): The T IoU thresholds; each has a matching of its own.

    Returns:
        ndarray: Whether a detection is a true one at a threshold, (K, T) bool.
    """
    limits = np.asarray(thresholds, dtype=np.float64)
    hits = np.zeros((len(pred_labels), len(limits)), dtype=bool)
    if len(gt_labels) == 0:
        return hits
    ious = np.where(pred_labels[:, None] == gt_labels, ious, -1.)
    taken = np.zeros((len(limits), len(gt_labels)), dtype=bool)
    rows = np.arange(len(limits))
    for k in np.argsort(-scores, kind='stable'):
        free = np.where(taken, -1., ious[k])
        best = free.argmax(1)
        hits[k] = free[rows, best] > limits
        taken[rows[hits[k]], best[hits[k]]] = True
    return hits
