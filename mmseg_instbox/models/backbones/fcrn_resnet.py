from functools import partial

import torch.nn.functional as F
from mmseg.models.backbones import ResNet
from mmseg.models.backbones.resnet import BasicBlock
from mmseg.registry import MODELS
from torch import Tensor, nn

from ...errors import InvalidInputError


def drop_input(module: nn.Module, inputs: tuple[Tensor], rate: float) -> Tensor:
    """A forward pre-hook: the input, in training with a share ``rate`` of its values dropped.

    A dropout of its own inside a block would need a copy of the block's ``forward``, or change the
    keys of its state dict.
    """
    return F.dropout(inputs[0], rate, module.training)


@MODELS.register_module()
class FCRNResNet(ResNet):
    """ResNet whose last stages trade stride for dilation (arXiv 1604.04339, section 3).

    Every 3x3 convolution that follows a removed stride is dilated so that it sees the same pixels
    as before, the convolution that lost the stride itself excepted (``contract_dilation``). mmseg's
    basic block leaves its second convolution undilated, and its bottleneck of style ``'caffe'``
    dilates that of the first block by half; here both are dilated in full. State-dict keys are
    those of :class:`mmseg.models.ResNetV1c`, or with ``deep_stem=False`` of
    :class:`mmseg.models.ResNet`, so their ImageNet checkpoints load.

    Args:
        depth: 18, 34, 50, 101 or 152.
        output_stride: Feature stride of the last stage: 8, 16 or 32.
        deep_stem: Whether the stem has three 3x3 convolutions (ResNetV1c) instead of one 7x7. By
            default that of which ImageNet weights are published: 7x7 for the depths 34 and 152.
        dropout: Rates of the dropout inside the residual blocks of the last two stages, before
            their last convolution.
        **kwargs: Arguments of ``ResNet``; strides and dilations follow from ``output_stride``.
            ``norm_eval=True`` freezes the statistics of batch normalisation.

    Raises:
        ValueError: Another ``output_stride``, or a rate of dropout outside [0, 1).
    """

    _LAST_STAGES = {8: ((1, 1), (2, 4)), 16: ((2, 1), (1, 2)), 32: ((2, 2), (1, 1))}

    def __init__(self,
                 depth: int,
                 output_stride: int = 8,
                 deep_stem: bool | None = None,
                 dropout: tuple[float, float] = (0., 0.),
                 **kwargs) -> None:
        if output_stride not in self._LAST_STAGES:
            raise InvalidInputError(f'output_stride is one of 8, 16, 32, got {output_stride!r}')
        if len(dropout) != 2 or not all(0 <= rate < 1 for rate in dropout):
            raise InvalidInputError('dropout is the rates of the last two stages, two numbers in '
                                    f'[0, 1), got {dropout}')
        strides, dilations = self._LAST_STAGES[output_stride]
        super().__init__(
            depth,
            strides=(1, 2, *strides),
            dilations=(1, 1, *dilations),
            contract_dilation=True,
            deep_stem=depth not in (34, 152) if deep_stem is None else deep_stem,
            **kwargs)
        for name, rate in zip(self.res_layers[-2:], dropout, strict=True):
            for block in getattr(self, name) if rate else ():
                last = block.conv2 if isinstance(block, BasicBlock) else block.conv3
                last.register_forward_pre_hook(partial(drop_input, rate=rate))

    def make_res_layer(self, **kwargs) -> nn.Sequential:
        """The parent's stage, with second convolutions that follow the stride dilated."""
        layer = super().make_res_layer(**kwargs)
        dilation = kwargs['dilation']
        for block in layer:
            if isinstance(block, BasicBlock) or block.style == 'caffe':
                block.conv2.dilation = block.conv2.padding = (dilation, dilation)
        return layer
