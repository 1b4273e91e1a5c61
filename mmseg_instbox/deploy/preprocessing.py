"""Prepares images for the graph, as the model's data pipeline does."""
from collections.abc import Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .export_settings import ExportSettings


def resize_image(image: np.ndarray, settings: ExportSettings) -> np.ndarray:
    """Resizes an image (H, W, 3) uint8 as MMCV's ``Resize`` does."""
    if settings.resize is None:
        return image
    width, height = settings.resize['scale']
    if settings.resize['keep_ratio']:
        sides, scale = image.shape[:2], (width, height)
        factor = min(max(scale) / max(sides), min(scale) / min(sides))
        height, width = (max(int(side * factor + 0.5), 1) for side in sides)
    if image.shape[:2] == (height, width):
        return image
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)


def normalise(images: Sequence[np.ndarray], settings: ExportSettings) -> Tensor:
    """Normalises and pads images.

    Args:
        images: (H, W, 3) uint8 BGR, all of one size.
        settings: Of the model.

    Returns:
        Tensor: ``(N, 3, H', W')`` float32, padded at the right and bottom.
    """
    batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    if settings.bgr_to_rgb:
        batch = batch.flip(1)
    mean, std = (torch.tensor(each, dtype=torch.float32)[:, None, None]
                 for each in (settings.mean, settings.std))
    batch = (batch.to(torch.float32, memory_format=torch.contiguous_format) - mean) / std
    height, width = padded_shape(batch.shape[-2:], settings)
    padding = (0, width - batch.shape[3], 0, height - batch.shape[2])
    return F.pad(batch, padding, value=settings.padding['value'])


def padded_shape(shape: Sequence[int], settings: ExportSettings) -> tuple[int, int]:
    """Returns the (height, width) of the network's input for images of a (height, width)."""
    if 'size' in settings.padding:
        return tuple(max(side, full)
                     for side, full in zip(shape, settings.padding['size'], strict=True))
    divisor = settings.padding['size_divisor']
    return tuple(-(-side // divisor) * divisor for side in shape)
