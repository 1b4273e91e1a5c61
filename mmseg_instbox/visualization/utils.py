"""Small helpers between data samples, arrays and image files."""
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from pycocotools import mask as mask_tools

from ..errors import InvalidInputError
from ..utils import atomic_write
from ..utils.run_lengths import Crop, encode_crop

MAX_SIDE = 65_000  # pixels of a drawing
NO_WINDOW = ('agg', 'cairo', 'pdf', 'pgf', 'ps', 'svg', 'template')  # backends of matplotlib


def check_image(image: np.ndarray) -> None:
    """Raise ValueError unless ``image`` is (H, W, 3) uint8."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise InvalidInputError('The image to draw must be an RGB array (H, W, 3) of uint8, got '
                                f'shape {image.shape} of {image.dtype}; convert it first.')


def check_size(maps: np.ndarray | torch.Tensor, size: tuple[int, int], name: str) -> None:
    """Raise ValueError unless ``maps`` (N, H, W) has the ``size`` (H, W) of its image."""
    if maps.ndim != 3 or tuple(maps.shape[1:]) != tuple(size):
        raise InvalidInputError(f'Shape {tuple(maps.shape)} of {name} does not fit the image of '
                                f'{size[0]} x {size[1]} pixels: expected (N, {size[0]}, {size[1]});'
                                ' draw on the image that it belongs to.')


def check_display() -> None:
    """Raise ValueError if no window can be opened: matplotlib would wait for its key for ever."""
    import matplotlib.pyplot as plt  # slow to import, not needed to write drawings
    if plt.get_backend().lower() in NO_WINDOW:
        raise InvalidInputError('There is no display to open a window on: leave show (--show) out '
                                'and write to a folder (out_dir, --out; of a test --show-dir).')


def write_image(image: np.ndarray, out_file: str) -> None:
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
        image = cv2.resize(image, size)
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    atomic_write(cv2.imencode(path.suffix, bgr)[1].tobytes(), path)


def match_ids(crops: Sequence[Crop], true_crops: Sequence[Crop],
              shape: tuple[int, int]) -> np.ndarray:
    """Number N predicted masks, ``(N,)`` int64, all different: the index of the true mask of best
    IoU where that is above 0.5 and the index is free, else the next number after the true masks.

    The first predicted mask is served first. All are crops of an image of ``shape`` (H, W).
    """
    codes, true_codes = ([encode_crop(crop, shape) for crop in each]
                         for each in (crops, true_crops))
    ious = np.reshape(mask_tools.iou(codes, true_codes, [False] * len(true_codes)),
                      (len(codes), len(true_codes)))
    ids = np.full(len(crops), -1)
    for i, row in enumerate(ious):
        if row.max(initial=0) > 0.5:
            ids[i] = row.argmax()
            ious[:, ids[i]] = 0  # taken
    new = ids < 0
    ids[new] = len(true_crops) + np.arange(new.sum())
    return ids
