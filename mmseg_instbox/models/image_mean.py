import torch
from mmseg.utils import SampleList
from torch import Tensor, nn


class ImageMean(nn.Module):
    """Mean of features over an image, without its padding in training.

    Takes ``(N, C, h, w)``, gives ``(N, C, 1, 1)``. Images of a training batch are padded to one
    size; at test time there is next to no padding, and a mean over both would mean different
    things.
    """

    def __init__(self) -> None:
        super().__init__()
        self.shares: Tensor | None = None

    def look_at(self, data_samples: SampleList) -> None:
        """Remember which part of each input is image, for the next forward passes in training.

        Args:
            data_samples: Their ``img_shape`` (without padding) and ``gt_sem_seg`` (with it) are
                read; where there is no ``img_shape`` all is image.
        """
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
        return (feats * inside).sum(dim=(2, 3), keepdim=True) / inside.sum(
            dim=(2, 3), keepdim=True)
