from typing import Any

from mmseg.models.backbones import MobileNetV2
from mmseg.registry import MODELS
from torch import nn

from ..layers import FoldedNormMixin, PhasedConv2d


@MODELS.register_module()
class DilatedMobileNetV2(FoldedNormMixin, MobileNetV2):
    """MobileNetV2 that trades stride for dilation as DeepLab does (arXiv 1706.05587, section 3.1).

    Extends :class:`mmseg.models.MobileNetV2`, which dilates only the first block of a stage. Here
    ``dilations`` count for all blocks of a stage, except that the first block keeps the dilation of
    the stage before: it is the block that lost its stride, and what follows it sees a grid twice as
    dense. State-dict keys and arguments are the parent's; ``norm_cfg=None`` folds the batch
    normalisation of weights into the convolutions as they are loaded. Convolutions are
    :class:`~mmseg_instbox.models.layers.PhasedConv2d` unless ``conv_cfg`` says otherwise.
    """

    def __init__(self, *args: Any, conv_cfg: dict | None = None, **kwargs: Any) -> None:
        super().__init__(*args, conv_cfg=conv_cfg or dict(type=PhasedConv2d), **kwargs)

    def make_layer(self, out_channels: int, num_blocks: int, stride: int, dilation: int,
                   expand_ratio: int) -> nn.Sequential:
        """The parent's stage with all depthwise convolutions dilated."""
        layer = super().make_layer(out_channels, num_blocks, stride, 1, expand_ratio)
        first = getattr(self, '_last_dilation', 1)
        self._last_dilation = dilation
        for block, rate in zip(layer, [first] + [dilation] * (num_blocks - 1), strict=True):
            depthwise = next(m for m in block.modules()
                             if isinstance(m, nn.Conv2d) and m.groups > 1)
            depthwise.dilation = depthwise.padding = (rate, rate)
        return layer
