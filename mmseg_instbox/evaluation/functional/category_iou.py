"""Pixels that category maps share."""
from collections.abc import Iterable

import numpy as np

from .pixel_runs import count_values
from .true_categories import VOID_CATEGORY


def category_areas(predicted: np.ndarray, truth: np.ndarray, num_classes: int,
                   lengths: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Intersection and union of each category, void pixels of the truth left out.

    The figures are those of ``IoUMetric.intersect_and_union`` of mmseg, counted in one pass.

    Args:
        predicted (ndarray): Predicted category of each pixel, (H, W) integer, 0 to C - 1.
        truth (ndarray): True category, (H, W) integer, 0 to C - 1 or 255, which is void.
        num_classes (int): Number of categories C.
        lengths (ndarray, optional): (R,) int64, if both maps are those of :func:`find_runs`.

    Returns:
        tuple[ndarray, ndarray]: Pixels of the intersection and of the union, (C,) int64 each.
    """
    counted = truth != VOID_CATEGORY
    truth, predicted = truth[counted], predicted[counted]
    lengths = np.ones(truth.shape, np.int64) if lengths is None else lengths[counted]
    right = truth == predicted
    shared = count_values(truth[right], num_classes, lengths[right])
    either = (count_values(each, num_classes, lengths) for each in (predicted, truth))
    return shared, sum(either) - shared


def category_ious(areas: Iterable[tuple[np.ndarray, np.ndarray]], num_classes: int) -> np.ndarray:
    """IoU of each category over all images.

    Args:
        areas (Iterable[tuple]): What :func:`category_areas` counted in each image.
        num_classes (int): Number of categories C.

    Returns:
        ndarray: (C,) float64; nan where neither map has the category.
    """
    intersect, union = np.zeros((2, num_classes), dtype=np.int64)
    for shared, either in areas:
        intersect += shared
        union += either
    return np.divide(intersect, union, out=np.full(num_classes, np.nan), where=union > 0)
