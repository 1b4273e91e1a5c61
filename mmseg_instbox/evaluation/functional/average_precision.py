"""All-point interpolated average precision."""
import numpy as np


def average_precision(hits: np.ndarray, num_objects: int) -> float:
    """Area under the precision envelope (PASCAL VOC from 2010 on, and the SDS evaluation).

    The precision at a recall is the largest precision at that recall or a higher one. Every true
    detection raises the recall by ``1 / num_objects``, so the area is the mean over the objects
    of the envelope where each of them is found, 0 for those never found.

    Args:
        hits (ndarray): Whether a detection is a true one, (D,) bool, in order of falling score.
        num_objects (int): Number of objects that could be found.

    Returns:
        float: Average precision, 0 to 1; nan if there is no object.
    """
    if num_objects == 0:
        return float('nan')
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope[hits].sum() / num_objects)


def average_precision_table(labels: np.ndarray, scores: np.ndarray, hits: np.ndarray,
                            num_objects: np.ndarray) -> np.ndarray:
    """Average precision of each category at each threshold, over the detections of all images.

    Args:
        labels (ndarray): Category of each detection, (D,) int, images in data set order.
        scores (ndarray): Score of each detection, (D,) float; ties keep the order given.
        hits (ndarray): Whether a detection is a true one at a threshold, (D, T) bool.
        num_objects (ndarray): Number of objects of each category, (C,) int.

    Returns:
        ndarray: Average precision, (C, T) float64; nan rows for categories without objects.
    """
    order = np.lexsort((-scores, labels))  # by category, then by falling score; ties stay
    hits = hits[order]
    starts = np.searchsorted(labels[order], np.arange(len(num_objects) + 1))
    table = np.full((len(num_objects), hits.shape[1]), np.nan)
    for category, count in enumerate(num_objects):
        chosen = hits[starts[category]:starts[category + 1]]
        table[category] = [average_precision(column, count) for column in chosen.T]
    return table
