"""Which categories are taken for which."""
import numpy as np

from .average_precision import match_detections


def confusion_matrix(ious: np.ndarray, labels: np.ndarray, gt_labels: np.ndarray,
                     scores: np.ndarray, num_things: int, threshold: float = 0.5) -> np.ndarray:
    """Count the true and predicted category of the objects and predictions of an image.

    Predictions are matched with objects as for AP^r, but whatever their categories.

    Args:
        ious (ndarray): IoU of K predictions with G objects, (K, G) float64.
        labels (ndarray): Category of each prediction, (K,) int.
        gt_labels (ndarray): Category of each object, (G,) int.
        scores (ndarray): Score of each prediction, (K,) float.
        num_things (int): Number of categories T.
        threshold (float): IoU above which a prediction finds an object.

    Returns:
        ndarray: (T + 1, T + 1) int64: rows are true, columns predicted categories. The last row
        counts predictions that found no object, the last column objects that were not found.
    """
    matrix = np.zeros((num_things + 1, num_things + 1), dtype=np.int64)
    same = np.zeros(len(labels), int), np.zeros(len(gt_labels), int)
    found = match_detections(ious, *same, scores, [threshold])[:, 0]
    rows = np.append(gt_labels, num_things)[found]  # -1, nothing found, is the last
    np.add.at(matrix, (rows, labels), 1)
    missed = np.setdiff1d(np.arange(len(gt_labels)), found)
    np.add.at(matrix, (gt_labels[missed], num_things), 1)
    return matrix
