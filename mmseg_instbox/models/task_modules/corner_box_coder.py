import torch
from mmseg.registry import TASK_UTILS
from torch import Tensor

from mmseg_instbox.errors import InvalidInputError


@TASK_UTILS.register_module()
class CornerBoxCoder:
    """Turns a box into the offsets of its corners from a pixel, and back.

    The numbers are the distances from the pixel to the top left and to the bottom right corner, in
    units of ``scale``, less half a unit: ``((x1 - x) / s + 1/2, (y1 - y) / s + 1/2,
    (x2 - x) / s - 1/2, (y2 - y) / s - 1/2)``. So, as with :class:`PixelBoxCoder`, deltas of 0 are
    the square of side ``scale`` around the pixel: where an untrained head begins. Nothing keeps a
    predicted box from being inside out; such a box overlaps with none.

    Args:
        scale: Unit of length in pixels of the network's input, about the size of a small object.

    Raises:
        ValueError: A ``scale`` that is not positive.
    """

    def __init__(self, scale: float = 64.0) -> None:
        if not scale > 0:
            raise InvalidInputError(f'CornerBoxCoder needs scale > 0, got {scale}')
        self.scale = scale

    def encode(self, points: Tensor, bboxes: Tensor) -> Tensor:
        """Regression targets of boxes.

        Args:
            points: ``(..., 2)`` x, y in pixels.
            bboxes: ``(..., 4)`` x1, y1, x2, y2 in pixels.

        Returns:
            Tensor: ``(..., 4)`` deltas.
        """
        return (bboxes - torch.cat([points, points], dim=-1)) / self.scale - self._start(bboxes)

    def decode(self, points: Tensor, deltas: Tensor) -> Tensor:
        """Boxes of regression outputs, the inverse of :meth:`encode`.

        Args:
            points: ``(..., 2)`` x, y in pixels.
            deltas: ``(..., 4)``.

        Returns:
            Tensor: ``(..., 4)`` x1, y1, x2, y2 in pixels.
        """
        return torch.cat([points, points], dim=-1) + (deltas + self._start(deltas)) * self.scale

    @staticmethod
    def _start(like: Tensor) -> Tensor:
        return like.new_tensor([-0.5, -0.5, 0.5, 0.5])
