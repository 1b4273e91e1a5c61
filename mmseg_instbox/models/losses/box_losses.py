"""Losses of the box regression, with the arguments of mmseg's losses."""
import torch.nn.functional as F
from mmseg.models.losses.utils import weight_reduce_loss
from mmseg.registry import MODELS
from torch import Tensor, nn

from ...core.box_iou import box_giou, box_iou


class BoxLoss(nn.Module):
    """Base of the losses of boxes; a subclass implements :meth:`measure`.

    Args:
        reduction: ``'none'``, ``'mean'`` or ``'sum'``.
        loss_weight: Factor of the loss.
        loss_name: Name in the log; must begin with ``loss_`` to be part of the sum.
    """

    on_boxes = True  # PixelBoxHead hands over decoded boxes instead of the coder's numbers

    def __init__(self,
                 reduction: str = 'mean',
                 loss_weight: float = 1.0,
                 loss_name: str = 'loss_box') -> None:
        super().__init__()
        self.reduction = reduction
        self.loss_weight = loss_weight
        self.loss_name = loss_name

    def measure(self, pred: Tensor, target: Tensor) -> Tensor:
        """The loss of ``pred`` against ``target``, both ``(..., 4)``, unreduced."""
        raise NotImplementedError(f'{type(self).__name__} must implement measure')

    def forward(self,
                pred: Tensor,
                target: Tensor,
                weight: Tensor | None = None,
                avg_factor: float | None = None,
                reduction_override: str | None = None) -> Tensor:
        """Loss of ``pred`` against ``target``, both ``(..., 4)``; the other arguments are those of
        mmseg's ``weight_reduce_loss``."""
        return self.loss_weight * weight_reduce_loss(
            self.measure(pred, target), weight, reduction_override or self.reduction, avg_factor)


@MODELS.register_module()
class SmoothL1Loss(BoxLoss):
    """Smooth L1 loss of the coder's numbers, element by element.

    ``beta`` is where it turns from quadratic to linear, in units of the box coder.
    """

    on_boxes = False

    def __init__(self, beta: float = 0.25, **kwargs) -> None:
        super().__init__(**kwargs)
        self.beta = beta

    def measure(self, pred: Tensor, target: Tensor) -> Tensor:
        """As of :func:`torch.nn.functional.smooth_l1_loss`, ``(..., 4)``."""
        return F.smooth_l1_loss(pred, target, beta=self.beta, reduction='none')


@MODELS.register_module()
class IoULoss(BoxLoss):
    """1 - IoU of the decoded box and the true one; without gradient where they do not meet."""

    def measure(self, pred: Tensor, target: Tensor) -> Tensor:
        """1 - IoU of boxes, ``(..., 4)`` to ``(...)``."""
        return 1 - box_iou(pred, target)


@MODELS.register_module()
class GIoULoss(BoxLoss):
    """1 - GIoU (arXiv 1902.09630) of the decoded box and the true one."""

    def measure(self, pred: Tensor, target: Tensor) -> Tensor:
        """1 - GIoU of boxes, ``(..., 4)`` to ``(...)``."""
        return 1 - box_giou(pred, target)
