import math

import torch
from mmseg.registry import TASK_UTILS
from torch import Tensor

from mmseg_instbox.errors import InvalidInputError


@TASK_UTILS.register_module()
class PixelBoxCoder:
    """Turns a box into four numbers relative to a pixel, and back (paper, section 3.2).

    The numbers are the offset of the box's centre from the pixel and the logarithm of the box's
    size, both in units of ``scale``: ``((cx - x) / s, (cy - y) / s, log(w / s), log(h / s))``.

    Args:
        scale: Unit of length in pixels of the network's input, about the size of a small object.
        max_size: Largest width and height in pixels that ``decode`` returns; an untrained network's
            exponential would overflow without it.
    """

    def __init__(self, scale: float = 64.0, max_size: float = 1e4) -> None:
        if not 0 < scale < max_size:
            raise InvalidInputError(f'PixelBoxCoder needs 0 < scale < max_size, got scale={scale} '
                                    f'and max_size={max_size}')
        self.scale = scale
        self.max_log = math.log(max_size / scale)

    def encode(self, points: Tensor, bboxes: Tensor) -> Tensor:
        """Regression targets of boxes.

        Args:
            points: ``(..., 2)`` x, y in pixels.
            bboxes: ``(..., 4)`` x1, y1, x2, y2 in pixels.

        Returns:
            Tensor: ``(..., 4)`` deltas.

        Raises:
            ValueError: A box without width or height.
        """
        size = bboxes[..., 2:] - bboxes[..., :2]
        if not bool((size > 0).all()):
            raise InvalidInputError('PixelBoxCoder.encode got a box whose width or height is not '
                                    'positive; expected x1 < x2 and y1 < y2')
        centre = (bboxes[..., :2] + bboxes[..., 2:]) / 2
        return torch.cat([(centre - points) / self.scale, (size / self.scale).log()], dim=-1)

    def decode(self, points: Tensor, deltas: Tensor) -> Tensor:
        """Boxes of regression outputs, the inverse of :meth:`encode`.

        Args:
            points: ``(..., 2)`` x, y in pixels.
            deltas: ``(..., 4)``.

        Returns:
            Tensor: ``(..., 4)`` x1, y1, x2, y2 in pixels.
        """
        centre = points + deltas[..., :2] * self.scale
        half = deltas[..., 2:].clamp(max=self.max_log).exp() * (self.scale / 2)
        return torch.cat([centre - half, centre + half], dim=-1)
