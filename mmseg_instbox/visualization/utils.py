"""Small helpers between data samples, arrays and image files."""
from collections.abc import Sequence
from pathlib import Path

import cv2
import mmcv
import numpy as np
import torch

from mmseg_instbox.utils import atomic_write

from ..errors import InvalidInputError

MAX_SIDE = 65_000  # pixels of a drawing
NO_WINDOW = ('agg', 'cairo', 'pdf', 'pgf', 'ps', 'svg', 'template')  # backends of matplotlib


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


def check_display() -> None:
    """Raise ValueError if no window can be opened: matplotlib would wait for its key for ever."""
    import matplotlib.pyplot as plt  # slow to import, not needed to write drawings
    if plt.get_backend().lower() in NO_WINDOW:
        raise InvalidInputError('There is no display to open a window on: leave show (--show) out '
                                'and write to a folder (out_dir, --out; of a test --show-dir).')


def write_picture(image: np.ndarray, out_file: str) -> None:
    """Write an RGB image (H, W, 3) uint8 whole or not at all, making its folder.

    Raises:
        ValueError: The ending of ``out_file`` names no image format.
    """
    path = Path(out_file)
    if not path.suffix or not cv2.haveImageWriter(path.name):
        raise InvalidInputError(f'Cannot tell an image format from the name {out_file}: end it '
                                'with .png or .jpg.')
    if max(image.shape) > MAX_SIDE:  # of a thin one, JPEG holds no longer side
        size = tuple(min(side, MAX_SIDE) for side in image.shape[1::-1])
        image = mmcv.imresize(image, size)
    atomic_write(cv2.imencode(path.suffix, mmcv.rgb2bgr(image))[1].tobytes(), path)


def match_ids(masks: Sequence[np.ndarray], true_masks: Sequence[np.ndarray]) -> np.ndarray:
    """Number N predicted masks so that one covering a true mask shares that one's index.

    Masks are (H, W) bool; the first predicted one is served first.

    Returns:
        np.ndarray: (N,) int64, all different: the index of the true mask of highest IoU where
        that is above 0.5 and the index is free, else the next number after the true masks.
    """
    if not len(true_masks):
        return np.arange(len(masks))
    ids, true_masks = np.zeros(len(masks), dtype=np.int64), np.asarray(true_masks)
    true_areas = true_masks.sum(axis=(1, 2))
    free, following = np.ones(len(true_masks), dtype=bool), len(true_masks)
    for i, mask in enumerate(masks):
        shared = true_masks[:, mask].sum(axis=1)
        iou = shared / np.maximum(true_areas + mask.sum() - shared, 1) * free
        best = int(np.argmax(iou))
        if iou[best] > 0.5:
            ids[i], free[best] = best, False
        else:
            ids[i], following = following, following + 1
    return ids
