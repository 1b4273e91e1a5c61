from mmengine.structures import PixelData
from mmseg.models.decode_heads import FCNHead
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.utils import SampleList
from torch import Tensor, nn

from ...core.feature_grid import sample_at_cells
from ...errors import InvalidInputError


class CellLossMixin:
    """Trains an mmseg decode head at the feature stride (arXiv 1604.04339).

    Labels are sampled down to the features' grid; logits are not interpolated up to the labels.
    """

    def loss_by_feat(self, seg_logits: Tensor, batch_data_samples: SampleList) -> dict:
        """The parent's losses, with labels ``gt_sem_seg`` ``(1, H, W)`` sampled at the cells of
        ``seg_logits`` ``(N, C, h, w)``."""
        grid = seg_logits.shape[-2:]
        samples = [
            SegDataSample(gt_sem_seg=PixelData(data=sample_at_cells(sample.gt_sem_seg.data, grid)))
            for sample in batch_data_samples
        ]
        return super().loss_by_feat(seg_logits, samples)


@MODELS.register_module()
class FCRNHead(CellLossMixin, FCNHead):
    """Classifier with a large field of view, trained at the feature stride (arXiv 1604.04339).

    Args:
        num_convs: Convolution stages before the classifier; the paper has none or one of 512
            channels.
        classifier_kernel: Kernel size of the classifier, 3 or 5 in the paper.
        classifier_dilation: Dilation of the classifier, up to 12 in the paper at stride 8.
        **kwargs: Arguments of :class:`mmseg.models.FCNHead`; with ``num_convs=0``, ``channels``
            equals ``in_channels``.
    """

    def __init__(self,
                 num_convs: int = 0,
                 classifier_kernel: int = 3,
                 classifier_dilation: int = 12,
                 concat_input: bool = False,
                 **kwargs) -> None:
        super().__init__(num_convs=num_convs, concat_input=concat_input, **kwargs)
        if classifier_kernel % 2 == 0:
            raise InvalidInputError(f'classifier_kernel must be odd, got {classifier_kernel}')
        self.conv_seg = nn.Conv2d(
            self.channels, self.out_channels, classifier_kernel, dilation=classifier_dilation,
            padding=classifier_kernel // 2 * classifier_dilation)
