"""Box coders: a box as four numbers relative to a pixel, which a network can regress.

``encode(points, bboxes)`` and ``decode(points, deltas)`` are inverses. ``points`` ``(..., 2)`` are
x and y in pixels, ``bboxes`` ``(..., 4)`` x1, y1, x2, y2 in pixels, and ``deltas`` ``(..., 4)``.
With both coders deltas of 0 are the square of side ``scale`` around the pixel: where an untrained
head begins.
"""
import math

import torch
from mmseg.registry import TASK_UTILS
from torch import Tensor


@TASK_UTILS.register_module()
class PixelBoxCoder:
    """Codes a box by its centre and the logarithm of its size (paper, section 3.2).

    Both in units of ``scale``: ``((cx - x) / s, (cy - y) / s, log(w / s), log(h / s))``.

    Args:
        scale: Unit of length in pixels of the network's input, about the size of a small object.
        max_size: Largest width and height in pixels that ``decode`` returns; an untrained network's
            exponential would overflow without it.
    """

    def __init__(self, scale: float = 64.0, max_size: float = 1e4) -> None:
        self.scale = scale
        self.max_log = math.log(max_size / scale)

    def encode(self, points: Tensor, bboxes: Tensor) -> Tensor:
        """Deltas of boxes with x1 < x2 and y1 < y2."""
        size = bboxes[..., 2:] - bboxes[..., :2]
        centre = (bboxes[..., :2] + bboxes[..., 2:]) / 2
        return torch.cat([(centre - points) / self.scale, (size / self.scale).log()], dim=-1)

    def decode(self, points: Tensor, deltas: Tensor) -> Tensor:
        """Boxes of deltas, the inverse of :meth:`encode`."""
        centre = points + deltas[..., :2] * self.scale
        half = deltas[..., 2:].clamp(max=self.max_log).exp() * (self.scale / 2)
        return torch.cat([centre - half, centre + half], dim=-1)


@TASK_UTILS.register_module()
class CornerBoxCoder:
    """Codes a box by the distances of its corners from the pixel, less half a unit.

    In units of ``scale``: ``((x1 - x) / s + 1/2, (y1 - y) / s + 1/2, (x2 - x) / s - 1/2,
    (y2 - y) / s - 1/2)``. Nothing keeps a predicted box from being inside out; such a box overlaps
    with none.

    Args:
        scale: As of :class:`PixelBoxCoder`, positive.
    """

    def __init__(self, scale: float = 64.0) -> None:
        self.scale = scale

    def encode(self, points: Tensor, bboxes: Tensor) -> Tensor:
        """Deltas of boxes."""
        return (bboxes - torch.cat([points, points], dim=-1)) / self.scale - self._start(bboxes)

    def decode(self, points: Tensor, deltas: Tensor) -> Tensor:
        """Boxes of deltas, the inverse of :meth:`encode`."""
        return torch.cat([points, points], dim=-1) + (deltas + self._start(deltas)) * self.scale

    @staticmethod
    def _start(like: Tensor) -> Tensor:
        return like.new_tensor([-0.5, -0.5, 0.5, 0.5])
