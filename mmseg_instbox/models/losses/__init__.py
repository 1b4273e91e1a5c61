from .bootstrap_cross_entropy_loss import BootstrapCrossEntropyLoss
from .giou_loss import GIoULoss
from .iou_loss import IoULoss
from .smooth_l1_loss import SmoothL1Loss

__all__ = ['BootstrapCrossEntropyLoss', 'GIoULoss', 'IoULoss', 'SmoothL1Loss']
