"""Layers that backbones and heads share."""
from typing import Any

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from mmseg.utils import SampleList
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class _ReLU6(torch.autograd.Function):
    """Clamps to 0 to 6; the gradient's mask is read off the result, which the next layer keeps
    anyway."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, inplace: bool) -> Tensor:
        if inplace:
            ctx.mark_dirty(x)
        result = x.clamp_(0, 6) if inplace else x.clamp(0, 6)
        ctx.save_for_backward(result)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        result, = ctx.saved_tensors
        return torch.ops.aten.hardtanh_backward(grad, result, 0, 6), None


@MODELS.register_module()
class LeanReLU6(nn.ReLU6):
    """:class:`torch.nn.ReLU6` that trains in less memory, with the same results and gradients.

    torch's keeps a copy of its input for the backward pass, in place too: one of three tensors that
    a layer of MobileNetV2 keeps. For ``act_cfg`` of a backbone or head.
    """

    def forward(self, input: Tensor) -> Tensor:
        """The input (any shape, float), clamped to 0 to 6."""
        if torch.is_grad_enabled() and input.requires_grad:
            return _ReLU6.apply(input, self.inplace)
        return F.relu6(input, self.inplace)


@MODELS.register_module()
class PhasedConv2d(nn.Conv2d):
    """:class:`torch.nn.Conv2d` that trains dilated depthwise convolutions faster on CPUs.

    A convolution with dilation d does not mix the d x d phases of its input, the pixels whose
    places are equal modulo d: each phase on its own has dilation 1, for which oneDNN has a fast
    backward pass. Same results and weights; for ``conv_cfg`` of a backbone or head.
    """

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        dilation, (height, width) = self.dilation[0], input.shape[2:]
        if not (dilation > 1 and self.groups == self.in_channels == self.out_channels
                and self.stride == (1, 1) and self.padding_mode == 'zeros'
                and self.dilation == self.padding == (dilation, dilation)
                and self.kernel_size == (3, 3) and height % dilation == width % dilation == 0
                and torch.is_grad_enabled() and input.device.type == 'cpu'):
            return super()._conv_forward(input, weight, bias)
        sizes = -1, height // dilation, width // dilation, self.in_channels
        phases = input.permute(0, 2, 3, 1).unflatten(2, (-1, dilation)).unflatten(1, (-1, dilation))
        phases = phases.permute(2, 4, 0, 1, 3, 5).reshape(sizes).permute(0, 3, 1, 2)
        result = F.conv2d(phases, weight, bias, padding=1, groups=self.groups)
        result = result.permute(0, 2, 3, 1).unflatten(0, (dilation, dilation, -1))
        return result.permute(2, 3, 0, 4, 1, 5).reshape(
            -1, height, width, self.in_channels).permute(0, 3, 1, 2)


class FoldedNormMixin:
    """Lets a module whose convolutions have no batch normalisation load weights that have it.

    With frozen statistics it is a linear map, so it folds into the convolution before it: the same
    outputs from one layer instead of two. Expects ``mmcv``'s names, ``conv`` and ``bn``.
    """

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        """The parent's, with the batch normalisation that this module lacks folded."""
        own = self.state_dict()
        for key in [key for key in state_dict if key.startswith(prefix)]:
            block = key.removesuffix('.bn.running_var')
            if block != key and f'{block[len(prefix):]}.bn.running_var' not in own:
                fold_batch_norm(state_dict, block)
        super()._load_from_state_dict(state_dict, prefix, *args)


def fold_batch_norm(state_dict: dict[str, Tensor], block: str, eps: float = 1e-5) -> None:
    """Folds ``block.bn`` into ``block.conv``, a convolution without bias, of a state dict, in
    place; ``eps`` is that of the batch normalisation."""
    names = ('weight', 'bias', 'running_mean', 'running_var')
    weight, bias, mean, var = (state_dict.pop(f'{block}.bn.{name}') for name in names)
    state_dict.pop(f'{block}.bn.num_batches_tracked', None)
    scale = weight / (var + eps).sqrt()
    conv = f'{block}.conv.weight'
    state_dict[conv] = state_dict[conv] * scale.view(-1, 1, 1, 1)
    state_dict[f'{block}.conv.bias'] = bias - mean * scale


class ImageMean(nn.Module):
    """Mean of features over an image, without its padding in training.

    Takes ``(N, C, h, w)``, gives ``(N, C, 1, 1)``. Images of a training batch are padded to one
    size; at test time there is next to no padding, and a mean over both would mean different
    things.
    """

    def __init__(self) -> None:
        super().__init__()
        self.shares: Tensor | None = None

    def remember_padding(self, data_samples: SampleList) -> None:
        """Remembers which part of each input is image, for the next forward passes in training:
        its ``img_shape`` of the shape of ``gt_sem_seg``; all where there is no ``img_shape``."""
        self.shares = torch.tensor([
            [part / full for part, full in zip(
                sample.get('img_shape', sample.gt_sem_seg.shape), sample.gt_sem_seg.shape,
                strict=False)] for sample in data_samples])

    def forward(self, feats: Tensor) -> Tensor:
        """The mean ``(N, C, 1, 1)`` of ``(N, C, h, w)``."""
        if not self.training or self.shares is None:
            return feats.mean(dim=(2, 3), keepdim=True)
        rows, cols = (
            torch.arange(size) < (share * size).round().clamp(1, size)[:, None]
            for size, share in zip(feats.shape[2:], self.shares.T, strict=True))
        inside = (rows[:, :, None] & cols[:, None])[:, None].to(feats)
        total, number = (each.sum(dim=(2, 3), keepdim=True) for each in (feats * inside, inside))
        return total / number
