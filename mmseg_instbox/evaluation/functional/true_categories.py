"""Perfect category scores, to see what the predicted boxes alone are worth."""

import torch.nn.functional as F
from torch import Tensor

from mmseg_instbox.core.feature_grid import cell_points

VOID_CATEGORY = 255


def true_category_map(gt_sem_seg: Tensor) -> Tensor:
    """The category map, (H, W) int64, with void pixels turned into category 0, background."""
    gt_sem_seg = gt_sem_seg.long()
    return gt_sem_seg.masked_fill(gt_sem_seg == VOID_CATEGORY, 0)


def true_category_scores(seg_map: Tensor, grid_shape: tuple[int, int],
                         extent: tuple[float, float], num_classes: int) -> Tensor:
    """One-hot category probabilities of the feature cells.

    Args:
        seg_map (Tensor): Category of each pixel without void, (H, W) int64.
        grid_shape (tuple[int, int]): Rows and columns (h, w) of the feature grid.
        extent (tuple[float, float]): Height and width, in pixels of ``seg_map``, of the area that
            the grid covers. Cells beyond the map (padding) are background.
        num_classes (int): Number of categories C.

    Returns:
        Tensor: Probabilities, (C, h, w) float32.
    """
    labels = sample_map(seg_map, grid_shape, extent)
    return F.one_hot(labels, num_classes).permute(2, 0, 1).float()


def sample_map(label_map: Tensor, grid_shape: tuple[int, int],
               extent: tuple[float, float]) -> Tensor:
    """The values of a map (H, W) at the centres of the feature cells, (h, w); 0 beyond the map."""
    height, width = label_map.shape
    x, y = cell_points(grid_shape, extent, label_map.device).floor().long().unbind(-1)
    values = label_map[y.clamp(max=height - 1), x.clamp(max=width - 1)]
    return values.masked_fill((x >= width) | (y >= height), 0)
