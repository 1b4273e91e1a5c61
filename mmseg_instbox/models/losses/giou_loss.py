from mmseg.models.losses.utils import weighted_loss
from mmseg.registry import MODELS
from torch import Tensor

from mmseg_instbox.core.box_iou import box_giou

from .iou_loss import IoULoss


@weighted_loss
def giou_loss(pred: Tensor, target: Tensor) -> Tensor:
    """1 - GIoU of boxes, ``(..., 4)`` to ``(...)``."""
    return 1 - box_giou(pred, target)


@MODELS.register_module()
class GIoULoss(IoULoss):
    """1 - GIoU (arXiv 1902.09630) of the decoded box and the true one; arguments as of
    :class:`IoULoss`."""

    measure = staticmethod(giou_loss)
