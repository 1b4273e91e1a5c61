"""Matching of detections with objects, and what follows from it: AP^r and confusions."""
from collections.abc import Sequence

import numpy as np


def match_detections(ious: np.ndarray, pred_labels: np.ndarray, gt_labels: np.ndarray,
                     scores: np.ndarray, thresholds: Sequence[float]) -> np.ndarray:
    """Match the detections of an image with its objects, greedily as in the SDS evaluation.

    In order of falling score (ties as given), a detection takes the free object of its category
    with the largest IoU (the first of equals) if that is strictly above the threshold. So a second
    detection of an object is false, unless another free object lies under it as well.

    ``ious`` (K, G) float64 are of K detections with G objects, ``pred_labels`` (K,) and
    ``gt_labels`` (G,) their categories. Returns the object that each detection finds, or -1, at
    each of T thresholds, which have a matching of their own: (K, T) int64.
    """
    limits = np.asarray(thresholds, dtype=np.float64)
    found = np.full((len(pred_labels), len(limits)), -1)
    if len(gt_labels) == 0:
        return found
    ious = np.where(pred_labels[:, None] == gt_labels, ious, -1.)
    taken = np.zeros((len(limits), len(gt_labels)), dtype=bool)
    rows = np.arange(len(limits))
    for k in np.argsort(-scores, kind='stable'):
        free = np.where(taken, -1., ious[k])
        best = free.argmax(1)
        hit = free[rows, best] > limits
        found[k, hit] = best[hit]
        taken[rows[hit], best[hit]] = True
    return found


def average_precision(hits: np.ndarray, num_objects: int) -> float:
    """Compute the area under the precision envelope (PASCAL VOC from 2010 on, and SDS).

    The precision at a recall is the largest one at that recall or a higher one. Every hit raises
    the recall by ``1 / num_objects``, so the area is the mean over the objects of the envelope
    where each is found; nan if there is no object. ``hits`` (D,) bool come in order of falling
    score. (mmdet's function of this name computes the same in float32.)
    """
    if num_objects == 0:
        return float('nan')
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope[hits].sum() / num_objects)


def average_precision_table(labels: np.ndarray, scores: np.ndarray, hits: np.ndarray,
                            num_objects: np.ndarray) -> np.ndarray:
    """Compute AP of each of C categories at each of T thresholds, over all images.

    ``labels`` and ``scores`` (D,) are of the detections in data set order, which ties keep;
    ``hits`` (D, T) bool tell which are true at a threshold, ``num_objects`` (C,) how many objects
    there are. The table is (C, T) float64, with nan for categories without objects.
    """
    order = np.lexsort((-scores, labels))  # by category, then by falling score; ties stay
    hits = hits[order]
    starts = np.searchsorted(labels[order], np.arange(len(num_objects) + 1))
    table = np.full((len(num_objects), hits.shape[1]), np.nan)
    for category, count in enumerate(num_objects):
        chosen = hits[starts[category]:starts[category + 1]]
        table[category] = [average_precision(column, count) for column in chosen.T]
    return table


def confusion_matrix(ious: np.ndarray, labels: np.ndarray, gt_labels: np.ndarray,
                     scores: np.ndarray, num_things: int, threshold: float = 0.5) -> np.ndarray:
    """Count the true and predicted category of the objects and predictions of an image.

    Predictions are matched as by :func:`match_detections`, but whatever their categories. Returns
    (T + 1, T + 1) int64 for T = ``num_things``: rows are true, columns predicted categories. The
    last row counts predictions that found no object, the last column objects that were not found.
    """
    matrix = np.zeros((num_things + 1, num_things + 1), dtype=np.int64)
    same = np.zeros(len(labels), int), np.zeros(len(gt_labels), int)
    found = match_detections(ious, *same, scores, [threshold])[:, 0]
    rows = np.append(gt_labels, num_things)[found]  # -1, nothing found, is the last
    np.add.at(matrix, (rows, labels), 1)
    missed = np.setdiff1d(np.arange(len(gt_labels)), found)
    np.add.at(matrix, (gt_labels[missed], num_things), 1)
    return matrix
