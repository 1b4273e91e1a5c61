from mmseg.models.backbones import ResNetV1c
from mmseg.models.backbones.resnet import BasicBlock
from mmseg.registry import MODELS
from torch import nn


@MODELS.register_module()
class FCRNResNet(ResNetV1c):
    """ResNet whose last stages trade stride for dilation (arXiv 1604.04339, section 3).

    Every 3x3 convolution that follows a removed stride is dilated so that it sees the same pixels
    as before, the convolution that lost the stride itself excepted (``contract_dilation``). mmseg's
    basic block leaves its second convolution undilated, and its bottleneck of style ``'caffe'``
    dilates that of the first block by half; here both are dilated in full. State-dict keys are
    those of :class:`mmseg.models.ResNetV1c`, so its ImageNet checkpoints load.

    Args:
        output_stride: Feature stride of the last stage: 8, 16 or 32.
        **kwargs: Arguments of ``ResNetV1c``; strides and dilations follow from ``output_stride``.

    Raises:
        ValueError: Another ``output_stride``, or strides and dilations given beside it.
    """

    _LAST_STAGES = {8: ((1, 1), (2, 4)), 16: ((2, 1), (1, 2)), 32: ((2, 2), (1, 1))}

    def __init__(self, output_stride: int = 8, **kwargs) -> None:
        if output_stride not in self._LAST_STAGES:
            raise ValueError(f'output_stride is one of 8, 16, 32, got {output_stride!r}')
        fixed = {'strides', 'dilations', 'contract_dilation'} & set(kwargs)
        if fixed:
            raise ValueError(f'FCRNResNet sets {", ".join(sorted(fixed))} from output_stride; use '
                             'mmseg.ResNetV1c to choose them freely')
        strides, dilations = self._LAST_STAGES[output_stride]
        super().__init__(
            strides=(1, 2, *strides),
            dilations=(1, 1, *dilations),
            contract_dilation=True,
            **kwargs)

    def make_res_layer(self, **kwargs) -> nn.Sequential:
        """The parent's stage, with second convolutions that follow the stride dilated."""
        layer = super().make_res_layer(**kwargs)
        dilation = kwargs['dilation']
        for block in layer:
            if isinstance(block, BasicBlock) or block.style == 'caffe':
                block.conv2.dilation = block.conv2.padding = (dilation, dilation)
        return layer
