import torch
from mmcv.cnn import ConvModule
from mmseg.registry import MODELS
from mmseg.utils import ConfigType, SampleList
from torch import Tensor, nn

from ...core.feature_grid import upsample_corner_aligned
from ..layers import ImageMean
from .pixel_box_head import PixelBoxHead


@MODELS.register_module()
class ContextPixelBoxHead(PixelBoxHead):
    """A :class:`PixelBoxHead` that sees whole objects on a coarse grid and borders on a fine one.

    A pixel in the middle of a large object needs to see far to know its box. The coarse features
    pass residual convolutions of growing dilation and get the mean of the whole image added; they
    are upsampled and join the fine features, on whose grid the boxes are predicted.

    Args:
        in_channels: Channels of the fine and of the coarse features, the fine ones first.
        in_index: Their indices among the backbone's outputs. All coarse ones have one grid.
        context_channels: Channels on the coarse grid.
        context_dilations: Dilation of each residual convolution on the coarse grid.
        **kwargs: Arguments of :class:`PixelBoxHead`, which make the layers on the fine grid.
    """

    def __init__(self,
                 in_channels: tuple[int, ...],
                 in_index: tuple[int, ...],
                 context_channels: int = 192,
                 context_dilations: tuple[int, ...] = (1, 2, 4),
                 **kwargs) -> None:
        super().__init__(
            in_channels=in_channels[0] + context_channels, in_index=in_index[0], **kwargs)
        conv = dict(norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        self.coarse_in_index = tuple(in_index[1:])
        self.compress = ConvModule(sum(in_channels[1:]), context_channels, 1, **conv)
        self.mean = ImageMean()
        self.image_mean = nn.Conv2d(context_channels, context_channels, 1)
        self.context = nn.ModuleList(
            ConvModule(context_channels, context_channels, 3, padding=rate, dilation=rate, **conv)
            for rate in context_dilations)

    def loss(self, inputs: tuple[Tensor, ...], batch_data_samples: SampleList,
             train_cfg: ConfigType) -> dict:
        """The parent's losses; padding does not count in the image's mean."""
        self.mean.remember_padding(batch_data_samples)
        return super().loss(inputs, batch_data_samples, train_cfg)

    def _transform_inputs(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Fine features and context ``(N, C, h, w)`` on the fine grid."""
        fine = inputs[self.in_index]
        coarse = self.compress(torch.cat([inputs[i] for i in self.coarse_in_index], dim=1))
        coarse = coarse + self.image_mean(self.mean(coarse))
        for conv in self.context:
            coarse = coarse + conv(coarse)
        return torch.cat([fine, upsample_corner_aligned(coarse, fine.shape[-2:])], dim=1)
