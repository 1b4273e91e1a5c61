from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from ..core.instances import Instances


class PixelMap(NamedTuple):
    """Values of an image's pixels or cells: ``data`` (C, H, W)."""
    data: Tensor


@dataclass
class Prediction:
    """What was predicted for an image; the names are those of MMSegmentation's data samples.

    Attributes:
        name: The picture's name, without ending.
        img_path: Where it is from, None for arrays.
        ori_shape: (H, W).
        pred_sem_seg: ``data`` (1, H, W) int64, the category of each pixel.
        pred_instances: ``masks`` (N, H, W) bool, ``labels`` (N,) int64 index into the thing
            classes, ``scores`` (N,), ``bboxes`` (N, 4), best score first.
        pred_boxes: ``data`` (4, h, w), the box of each cell, kept only when asked for.
        pred_scores: ``data`` (C, h, w), probabilities; likewise.
        grid_extent: (H', W') image pixels that these cells cover.
    """
    name: str
    img_path: str | None
    ori_shape: tuple[int, int]
    pred_sem_seg: PixelMap
    pred_instances: Instances
    pred_boxes: PixelMap | None = None
    pred_scores: PixelMap | None = None
    grid_extent: tuple[float, float] | None = None
