import torch
from mmseg.registry import MODELS
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ...core import VOID
from ...errors import InvalidInputError
from ..task_modules.bootstrap_pixel_sampler import BootstrapPixelSampler

FEW = 1 / 8  # of the pixels; on a CPU as fast at 15 % of the pixels as for all of them


class WeightedNLL(torch.autograd.Function):
    """The mean of weighted cross entropies whose log-softmax is known already.

    Takes logits and log-probabilities ``(N, C, H, W)``, labels and weights ``(N, H, W)``. The
    gradient goes to the logits; where few pixels have a weight, only theirs is computed.
    """

    @staticmethod
    def forward(ctx, logits: Tensor, log_prob: Tensor, label: Tensor, weight: Tensor) -> Tensor:
        """The mean, a scalar."""
        ctx.save_for_backward(log_prob, label, weight)
        return -(true_class(log_prob, label) * weight).mean()

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None, None, None]:
        """The gradient of the logits."""
        log_prob, label, weight = ctx.saved_tensors
        weight = weight * (grad / weight.numel())
        if weight.count_nonzero() > FEW * weight.numel():
            return _gradient(log_prob, label, weight), None, None, None
        image, pixel = weight.flatten(1).nonzero(as_tuple=True)
        result = torch.zeros_like(log_prob).flatten(2)
        label, weight = (each.flatten(1)[image, pixel] for each in (label, weight))
        result[image, :, pixel] = _gradient(log_prob.flatten(2)[image, :, pixel], label, weight)
        return result.view_as(log_prob), None, None, None


def _gradient(log_prob: Tensor, label: Tensor, weight: Tensor) -> Tensor:
    """``weight * (softmax - one_hot)`` of ``(N, C, ...)`` log-probabilities, made in one tensor."""
    result, label = log_prob.exp(), label[:, None]
    result.scatter_add_(1, label, result.new_full((1, ), -1).expand(label.shape))
    return result.mul_(weight[:, None])


def true_class(values: Tensor, label: Tensor) -> Tensor:
    """The ``(N, H, W)`` values of each pixel's category, of ``(N, C, H, W)``."""
    return values.gather(1, label[:, None]).squeeze(1)


@MODELS.register_module()
class BootstrapCrossEntropyLoss(nn.Module):
    """Bootstrapped cross entropy in one pass (paper, section 3.1), for any decode head of mmseg.

    The same value and gradient as mmseg's ``CrossEntropyLoss`` with a
    :class:`BootstrapPixelSampler`, but the log-softmax that chooses the pixels is also the loss's,
    so that it costs about half. That pays where heads train at the labels' resolution, as mmseg's
    do; at the feature stride either costs next to nothing.

    Args:
        loss_weight: Factor of the loss.
        loss_name: Name in the log; must begin with ``loss_`` to be part of the sum.
        **bootstrapping: ``thresh``, ``min_kept``, ``scope`` and ``warmup_iters`` of the sampler.
    """

    def __init__(self, loss_weight: float = 1.0, loss_name: str = 'loss_ce',
                 **bootstrapping) -> None:
        super().__init__()
        self.sampler = BootstrapPixelSampler(**bootstrapping)
        self.loss_weight = loss_weight
        self.loss_name = loss_name

    def forward(self,
                cls_score: Tensor,
                label: Tensor,
                weight: Tensor | None = None,
                ignore_index: int = VOID) -> Tensor:
        """The bootstrapped loss, a scalar, of category logits ``(N, C, H, W)``, C > 1, and labels
        ``(N, H, W)`` int64; ``weight``, which a sampler of the head gives, must be None."""
        if weight is not None:
            raise InvalidInputError('BootstrapCrossEntropyLoss chooses its pixels itself: give the '
                                    'head no sampler, or take CrossEntropyLoss as loss_decode')
        logits = cls_score.float()
        valid = label != ignore_index
        label = label.masked_fill(~valid, 0)
        log_prob = logits.detach().log_softmax(dim=1)
        weight = self.sampler.category_weights(-true_class(log_prob, label), valid)
        return self.loss_weight * WeightedNLL.apply(logits, log_prob, label, weight)
