import torch.nn.functional as F
from mmseg.models.losses.utils import weighted_loss
from mmseg.registry import MODELS
from torch import Tensor, nn


@weighted_loss
def smooth_l1_loss(pred: Tensor, target: Tensor, beta: float = 1.0) -> Tensor:
    """Smooth L1: quadratic below ``beta``, linear above, element by element."""
    return F.smooth_l1_loss(pred, target, beta=beta, reduction='none')


@MODELS.register_module()
class SmoothL1Loss(nn.Module):
    """Smooth L1 loss of the box regression, with the arguments of mmseg's losses.

    Args:
        beta: Where the loss turns from quadratic to linear, in units of the box coder.
        reduction: ``'none'``, ``'mean'`` or ``'sum'``.
        loss_weight: Factor of the loss.
        loss_name: Name in the log; must begin with ``loss_`` to be part of the sum.
    """

    def __init__(self,
                 beta: float = 0.25,
                 reduction: str = 'mean',
                 loss_weight: float = 1.0,
                 loss_name: str = 'loss_box') -> None:
        super().__init__()
        self.beta = beta
        self.reduction = reduction
        self.loss_weight = loss_weight
        self.loss_name = loss_name

    def forward(self,
                pred: Tensor,
                target: Tensor,
                weight: Tensor | None = None,
                avg_factor: float | None = None,
                reduction_override: str | None = None) -> Tensor:
        """Loss of ``pred`` against ``target``, both ``(..., 4)``; see ``weight_reduce_loss``."""
        return self.loss_weight * smooth_l1_loss(
            pred,
            target,
            weight,
            beta=self.beta,
            reduction=reduction_override or self.reduction,
            avg_factor=avg_factor)
