"""Perfect category scores, to see what the predicted boxes alone are worth."""

import torch.nn.functional as F
from torch import Tensor

from mmseg_instbox.models.task_modules.feature_grid import cell_points

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
    height, width = seg_map.shape
    points = cell_points(grid_shape, extent, seg_map.device).floor().long()
    x, y = points.unbind(-1)
    labels = seg_map[y.clamp(max=height - 1), x.clamp(max=width - 1)]
    labels = labels.masked_fill((x >= width) | (y >= height), 0)
    return F.one_hot(labels, num_classes).permute(2, 0, 1).float()
