import torch
from mmcv.cnn import ConvModule
from mmengine.model import constant_init
from mmseg.models.decode_heads import ASPPHead
from mmseg.registry import MODELS
from mmseg.utils import ConfigType, SampleList
from torch import Tensor, nn

from ...core.feature_grid import upsample_corner_aligned
from ..layers import FoldedNormMixin, ImageMean
from .fcrn_head import CellLossMixin


@MODELS.register_module()
class RefinedASPPHead(CellLossMixin, FoldedNormMixin, ASPPHead):
    """DeepLabV3's head (arXiv 1706.05587) whose logits are sharpened from finer features.

    Extends :class:`mmseg.models.ASPPHead`. The logits of the coarse features are upsampled to the
    grid of the finest features in use, and a small network that reads the fine features, the
    coarse ones and these logits adds a correction to them. Its last layer starts at zero, so that a
    pretrained head first predicts what it did without it. Labels are sampled at the cells of the
    fine grid.

    Args:
        fine_in_channels: Channels of the fine features, finest first.
        fine_in_index: Their indices among the backbone's outputs; the first has the grid of the
            result.
        fine_channels: Channels of the correction.
        bottleneck_kernel: Kernel of the convolution after the pyramid: 3 as in mmseg, 1 as in the
            published DeepLabV3 with MobileNetV2.
        fine_norm_cfg: Normalisation of the correction's layers.
        **kwargs: Arguments of ``ASPPHead``; ``in_index`` is that of the coarse features, and
            ``norm_cfg=None`` folds the batch normalisation of weights into the convolutions.
    """

    def __init__(self,
                 fine_in_channels: tuple[int, ...] = (24, 32),
                 fine_in_index: tuple[int, ...] = (0, 1),
                 fine_channels: int = 48,
                 bottleneck_kernel: int = 1,
                 fine_norm_cfg: ConfigType = dict(type='BN'),
                 **kwargs) -> None:
        super().__init__(**kwargs)
        self.bottleneck = ConvModule(
            (len(self.dilations) + 1) * self.channels, self.channels, bottleneck_kernel,
            padding=bottleneck_kernel // 2, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        self.image_pool[0] = ImageMean()
        self.fine_in_index = tuple(fine_in_index)
        conv = dict(norm_cfg=fine_norm_cfg, act_cfg=self.act_cfg)
        self.compress = ConvModule(self.channels, fine_channels, 1, **conv)
        read = sum(fine_in_channels) + fine_channels + self.num_classes
        self.correction = nn.Sequential(
            ConvModule(read, fine_channels, 1, **conv),
            ConvModule(fine_channels, fine_channels, 3, padding=1, groups=fine_channels, **conv),
            ConvModule(fine_channels, fine_channels, 1, **conv),
            nn.Conv2d(fine_channels, self.out_channels, 1))
        constant_init(self.correction[-1], 0)

    def init_weights(self) -> None:
        """The parent's, with a correction of zero."""
        super().init_weights()
        constant_init(self.correction[-1], 0)

    def loss(self, inputs: tuple[Tensor, ...], batch_data_samples: SampleList,
             train_cfg: ConfigType) -> dict:
        """The parent's losses; padding does not count in the image's mean."""
        self.image_pool[0].remember_padding(batch_data_samples)
        return super().loss(inputs, batch_data_samples, train_cfg)

    def forward(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Logits ``(N, C, h, w)`` on the grid of the finest features in use."""
        fine = [inputs[i] for i in self.fine_in_index]
        coarse = self._forward_feature(inputs)
        shape = fine[0].shape[-2:]
        logits = upsample_corner_aligned(self.cls_seg(coarse), shape)
        others = [upsample_corner_aligned(each, shape)
                  for each in (*fine[1:], self.compress(coarse))]
        return logits + self.correction(torch.cat([fine[0], *others, logits], dim=1))
