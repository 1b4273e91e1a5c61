from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from mmseg.utils import SampleList
from torch import Tensor

from mmseg_instbox.core.feature_grid import sample_at_cells


class CellLossMixin:
    """Trains an mmseg decode head at the feature stride (arXiv 1604.04339).

    Labels are sampled down to the features' grid; logits are not interpolated up to the labels.
    """

    def loss_by_feat(self, seg_logits: Tensor, batch_data_samples: SampleList) -> dict:
        """The parent's losses, with labels sampled at the cells of ``seg_logits``.

        Args:
            seg_logits: ``(N, C, h, w)``.
            batch_data_samples: With ``gt_sem_seg`` of ``(1, H, W)``.

        Returns:
            dict[str, Tensor]: The losses and ``acc_seg``.
        """
        grid = seg_logits.shape[-2:]
        samples = [
            SegDataSample(gt_sem_seg=PixelData(data=sample_at_cells(sample.gt_sem_seg.data, grid)))
            for sample in batch_data_samples
        ]
        return super().loss_by_feat(seg_logits, samples)
