from mmseg.models.losses.utils import weighted_loss
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmseg_instbox.core.box_iou import box_iou


@weighted_loss
def iou_loss(pred: Tensor, target: Tensor) -> Tensor:
    """1 - IoU of boxes, ``(..., 4)`` to ``(...)``."""
    return 1 - box_iou(pred, target)


@MODELS.register_module()
class IoULoss(nn.Module):
    """1 - IoU of the decoded box and the true one; without gradient where they do not meet.

    Args:
        reduction: ``'none'``, ``'mean'`` or ``'sum'``.
        loss_weight: Factor of the loss.
        loss_name: Name in the log; must begin with ``loss_`` to be part of the sum.
    """

    on_boxes = True  # PixelBoxHead hands over decoded boxes instead of the coder's numbers
    measure = staticmethod(iou_loss)

    def __init__(self,
                 reduction: str = 'mean',
                 loss_weight: float = 1.0,
                 loss_name: str = 'loss_box') -> None:
        super().__init__()
        self.reduction = reduction
        self.loss_weight = loss_weight
        self.loss_name = loss_name

    def forward(self,
                pred: Tensor,
                target: Tensor,
                weight: Tensor | None = None,
                avg_factor: float | None = None,
                reduction_override: str | None = None) -> Tensor:
        """Loss of boxes ``pred`` against ``target``, both ``(..., 4)`` in pixels.

        Unreduced it has the shape ``(...)``; see mmseg's ``weight_reduce_loss``.
        """
        return self.loss_weight * self.measure(
            pred,
            target,
            weight,
            reduction=reduction_override or self.reduction,
            avg_factor=avg_factor)
