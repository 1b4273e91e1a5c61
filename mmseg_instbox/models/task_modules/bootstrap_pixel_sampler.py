import math

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce, get_world_size
from mmengine.logging import MessageHub
from mmseg.registry import TASK_UTILS
from mmseg.structures.sampler.base_pixel_sampler import BasePixelSampler
from torch import Tensor, nn

from ...core import VOID
from ...errors import InvalidInputError


def hard_pixels(loss: Tensor, valid: Tensor, min_kept: int | float, min_loss: float | None,
                easy_share: float = 0.) -> Tensor:
    """The pixels ``(P,)`` bool that carry loss: those of ``valid`` whose ``loss`` ``(P,)`` is at
    least ``min_loss`` (None: no such), and never fewer than the K hardest.

    K is ``min_kept``, a count (int) or a share of the valid pixels (float), and a share
    ``easy_share`` of the others. Pixels that tie with the K-th hardest are all kept, so the pixels'
    order does not matter.
    """
    num_valid = int(valid.sum())
    k = math.ceil(min_kept * num_valid) if isinstance(min_kept, float) else min_kept
    k += math.ceil(easy_share * max(num_valid - k, 0))
    if num_valid <= k:
        return valid
    loss = loss.masked_fill(~valid, -math.inf)
    bound = math.inf if min_loss is None else min_loss
    hard = loss >= bound
    if k > 0 and int(hard.sum()) < k:
        hard = loss >= loss.topk(k, sorted=False).values.min()
    return hard


def mean_weights(kept: Tensor, scope: str = 'image') -> Tensor:
    """Weights ``(N, H, W)`` float32 under which a plain mean over all pixels is the bootstrapped
    loss of the pixels ``kept`` ``(N, H, W)`` bool.

    That is, with the scope 'image', the mean over the N images of each image's mean over its kept
    pixels, an image without any counting as 0; with 'batch' the mean over all kept pixels of all
    images on all processes.
    """
    weights = kept.float()
    if scope == 'image':
        return weights * (kept[0].numel() / weights.sum(dim=(1, 2), keepdim=True).clamp(min=1))
    total = weights.sum()
    all_reduce(total)
    return weights * (kept.numel() * get_world_size() / total.clamp(min=1))


@TASK_UTILS.register_module()
class BootstrapPixelSampler(BasePixelSampler):
    """Online bootstrapping: only hard pixels carry loss (paper, section 3.1; arXiv 1604.04339).

    A pixel is kept when the probability of its true class is at most ``thresh``, and never fewer
    than ``min_kept`` are. The weights are scaled so that mmseg's default mean over all pixels, void
    included, gives the mean over the kept pixels. Fits ``sampler=`` of mmseg's decode heads.

    Args:
        context: The head that owns the sampler; its ``ignore_index`` and losses are read.
        thresh: Probability t up to which a pixel is hard; None keeps the ``min_kept`` hardest
            alone.
        min_kept: K, as a number of pixels (int) or as a share of the valid ones (float in [0, 1]).
        min_loss: The threshold of :meth:`sample_loss`, as a loss value; None likewise.
        scope: ``'image'`` selects and averages in each image, ``'batch'`` selects among the pixels
            of this process's batch and averages over all processes.
        warmup_iters: Iterations over which K shrinks linearly from all pixels; 0 for none. A runner
            counts them, also when it resumes.

    Raises:
        ValueError: A number outside its range, or a loss whose mean the weights cannot make right.
    """

    def __init__(self,
                 context: nn.Module | None = None,
                 thresh: float | None = 0.6,
                 min_kept: int | float = 512,
                 min_loss: float | None = None,
                 scope: str = 'image',
                 warmup_iters: int = 0) -> None:
        super().__init__()
        if thresh is not None and not 0 < thresh <= 1:
            raise InvalidInputError(f'thresh is a probability in (0, 1] or None, got {thresh}')
        if min_kept < 0 or (isinstance(min_kept, float) and min_kept > 1):
            raise InvalidInputError('min_kept is a count of pixels (int >= 0) or a share of the '
                                    f'valid pixels (float in [0, 1]), got {min_kept!r}')
        if scope not in ('image', 'batch'):
            raise InvalidInputError(f"scope is 'image' or 'batch', got {scope!r}")
        self.context = context
        self.thresh = thresh
        self.min_kept = min_kept
        self.min_loss = min_loss
        self.scope = scope
        self.warmup_iters = warmup_iters

    @torch.no_grad()
    def sample(self, seg_logit: Tensor, seg_label: Tensor) -> Tensor:
        """Weights ``(N, H, W)`` float32 for the category loss of logits ``(N, C, H, W)``, C > 1,
        and labels ``(N, 1, H, W)``."""
        label = seg_label.squeeze(1).long()
        ignore_index = getattr(self.context, 'ignore_index', VOID)
        loss = F.cross_entropy(seg_logit, label, ignore_index=ignore_index, reduction='none')
        valid = label != ignore_index
        weights = self.category_weights(loss, valid)
        if self._averages_over_valid():
            weights = weights * (valid.sum() / valid.numel())
        return weights

    @torch.no_grad()
    def category_weights(self, loss: Tensor, valid: Tensor) -> Tensor:
        """As :meth:`sample_loss`, of the cross entropy of each pixel and by ``thresh``."""
        min_loss = None if self.thresh is None else -math.log(self.thresh)
        return mean_weights(self._keep(loss, valid, min_loss), self.scope)

    @torch.no_grad()
    def sample_loss(self, loss: Tensor, valid: Tensor) -> Tensor:
        """Weights ``(N, H, W)`` float32 for any pixel-wise ``loss`` ``(N, H, W)``, hard meaning a
        large loss; only pixels in ``valid`` ``(N, H, W)`` bool may be kept. The bootstrapped loss
        is ``(loss * weights).mean()``."""
        return mean_weights(self._keep(loss, valid, self.min_loss), self.scope)

    def _keep(self, loss: Tensor, valid: Tensor, min_loss: float | None) -> Tensor:
        easy_share = 0.
        if self.warmup_iters:  # 1 when the warm-up begins, 0 when it is over
            iteration = MessageHub.get_current_instance().get_info('iter')
            if iteration is None:
                raise InvalidInputError("BootstrapPixelSampler with warmup_iters needs mmengine's "
                                        'Runner, which counts the iterations; leave it out '
                                        'elsewhere')
            easy_share = max(0., 1 - iteration / self.warmup_iters)
        rows = (len(loss) if self.scope == 'image' else 1, -1)
        kept = [hard_pixels(*row, self.min_kept, min_loss, easy_share)
                for row in zip(loss.reshape(rows), valid.reshape(rows), strict=True)]
        return torch.stack(kept).view_as(valid)

    def _averages_over_valid(self) -> bool:
        """Whether the context's losses divide by the valid pixels; refuses unfit ones."""
        losses = getattr(self.context, 'loss_decode', None)
        losses = list(losses) if isinstance(losses, nn.ModuleList) else [losses]
        unfit = [name for name in ('class_weight', 'use_sigmoid', 'use_mask')
                 if any(getattr(loss, name, None) for loss in losses)]
        if any(getattr(loss, 'reduction', 'mean') != 'mean' for loss in losses):
            unfit.append('reduction')
        flags = {bool(getattr(loss, 'avg_non_ignore', False)) for loss in losses}
        if unfit or len(flags) > 1:
            raise InvalidInputError(
                f'BootstrapPixelSampler cannot weight the loss_decode of '
                f'{type(self.context).__name__} with `{unfit[0] if unfit else "avg_non_ignore"}`: '
                'it needs the mean of a softmax cross entropy, the same in all losses; take it out')
        return flags.pop()
