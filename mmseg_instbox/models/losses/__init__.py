from .bootstrap_cross_entropy_loss import BootstrapCrossEntropyLoss
from .box_losses import GIoULoss, IoULoss, SmoothL1Loss
