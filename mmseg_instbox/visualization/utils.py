"""Small helpers between data samples, arrays and picture files."""
from collections.abc import Sequence
from pathlib import Path

import cv2
import mmcv
import numpy as np
import torch
from mmengine.structures import InstanceData

from mmseg_instbox.utils import atomic_write

from ..errors import InvalidInputError


def to_numpy(array: np.ndarray | torch.Tensor) -> np.ndarray:
    """Give an array or a tensor on the CPU as an array of the same shape and type."""
    return array.numpy() if isinstance(array, torch.Tensor) else np.asarray(array)


def check_image(image: np.ndarray) -> None:
    """Raise ValueError unless ``image`` is (H, W, 3) uint8."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise InvalidInputError('The image to draw must be an RGB array (H, W, 3) of uint8, got '
                                f'shape {image.shape} of {image.dtype}; convert it first.')


def check_size(maps: np.ndarray, image: np.ndarray, name: str) -> None:
    """Raise ValueError unless ``maps`` (N, H, W) has the size of ``image`` (H, W, 3)."""
    if maps.ndim != 3 or maps.shape[1:] != image.shape[:2]:
        raise InvalidInputError(f'Shape {maps.shape} of {name} does not fit the image of '
                                f'{image.shape[0]} x {image.shape[1]} pixels: expected (N, '
                                f'{image.shape[0]}, {image.shape[1]}); draw on the image that it '
                                'belongs to.')


def best_first(instances: InstanceData, score_thr: float) -> np.ndarray:
    """Give the indices (K,) of instances with ``scores`` from ``score_thr`` on, best first."""
    scores = to_numpy(instances.scores)
    order = np.argsort(-scores, kind='stable')
    return order[scores[order] >= score_thr]


def class_name(label: int, names: Sequence[str]) -> str:
    """Give the name of ``label``, or 'class 3' where there are no ``names`` at all.

    Raises:
        ValueError: If there are names but none for this label.
    """
    if not len(names):
        return f'class {label}'
    if not 0 <= label < len(names):
        raise InvalidInputError(f'Label {label} of an instance is outside thing_classes, which has '
                                f'{len(names)} names: give the visualizer the dataset_meta of the '
                                'data set that the labels come from.')
    return names[label]


def write_picture(picture: np.ndarray, out_file: str) -> None:
    """Write an RGB picture (H, W, 3) uint8 whole or not at all, making its folder.

    Raises:
        ValueError: If the ending of ``out_file`` names no picture format.
    """
    path = Path(out_file)
    if not path.suffix or not cv2.haveImageWriter(path.name):
        raise InvalidInputError(f'Cannot tell a picture format from the name {out_file}: end it '
                                'with .png or .jpg.')
    atomic_write(cv2.imencode(path.suffix, mmcv.rgb2bgr(picture))[1].tobytes(), path)


def match_ids(masks: Sequence[np.ndarray], true_masks: Sequence[np.ndarray]) -> np.ndarray:
    """Number predicted masks so that one covering a true mask shares that one's index.

    Args:
        masks (Sequence[np.ndarray]): Predictions, N of (H, W) bool, the first served first.
        true_masks (Sequence[np.ndarray]): Objects, M of (H, W) bool.

    Returns:
        np.ndarray: (N,) int64, all different: the index of the true mask of highest IoU where
        that is above 0.5 and the index is free, else the next number from M on.
    """
    if not len(true_masks):
        return np.arange(len(masks))
    ids, true_masks = np.zeros(len(masks), dtype=np.int64), np.asarray(true_masks)
    true_areas = true_masks.sum(axis=(1, 2))
    free, following = np.ones(len(true_masks), dtype=bool), len(true_masks)
    for i, mask in enumerate(masks):
        shared = true_masks[:, mask].sum(axis=1)
        iou = shared / np.maximum(true_areas + mask.sum() - shared, 1) * free
        best = int(np.argmax(iou)) if len(iou) else 0
        if iou.max(initial=0) > 0.5:
            ids[i], free[best] = best, False
        else:
            ids[i], following = following, following + 1
    return ids
