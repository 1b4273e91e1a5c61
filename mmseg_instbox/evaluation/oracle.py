"""The truth in place of predictions, to see what each part of a network costs."""
import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from ..core import VOID
from ..core.base_grouper import category_map
from ..core.feature_grid import cell_points


def use_truth(sample: dict, categories: bool = True, boxes: bool = True) -> dict:
    """Put true categories, true boxes or both in place of a sample's predictions, on their grid.

    True categories have the borders of the ground truth, pixel by pixel; void is category 0. A cell
    has the true box of the object at its centre; where there is none it keeps the predicted one.
    The sample, of ``DumpedSamples``, stays as it is.
    """
    probs, predicted = sample['pred_probs']['data'], sample['pred_boxes']['data']
    grid, extent = tuple(probs.shape[1:]), sample['grid_extent']
    sample = dict(sample)
    if categories:
        truth = true_category_map(sample)
        probs = true_category_probs(truth, grid, extent, len(probs))
        sample.update(pred_sem_seg=dict(data=truth[None]), pred_probs=dict(data=probs))
    if boxes:
        truth = true_boxes(sample['gt_inst_map']['data'][0], sample['gt_instances'], grid, extent)
        sample['pred_boxes'] = dict(data=torch.where(truth.isnan(), predicted, truth))
    return sample


def use_truth_on_grid(sample: dict, stride: int) -> dict:
    """Put the truth in place of all predictions, on a grid with ``stride`` pixels a cell.

    The result is the ceiling of what probabilities and boxes on such a grid can express. They are
    sampled at the cells' centres; as in a prediction, categories are interpolated to the pixels.
    Cells without an object have no box and do not take part in the grouping.
    """
    truth = true_category_map(sample)
    shape = tuple(truth.shape)
    grid = tuple(math.ceil(size / stride) for size in shape)
    probs = true_category_probs(truth, grid, shape, len(sample['pred_probs']['data']))
    boxes = true_boxes(sample['gt_inst_map']['data'][0], sample['gt_instances'], grid, shape)
    return dict(sample, grid_extent=shape, pred_probs=dict(data=probs),
                pred_boxes=dict(data=boxes),
                pred_sem_seg=dict(data=category_map(probs, shape, shape)[None]))


def true_category_map(sample: dict) -> Tensor:
    """True category of each pixel, (H, W) int64; void is category 0, background."""
    truth = sample['gt_sem_seg']['data'][0].long()
    return truth.masked_fill(truth == VOID, 0)


def true_category_probs(seg_map: Tensor, grid_shape: tuple[int, int],
                        extent: tuple[float, float], num_classes: int) -> Tensor:
    """Sample one-hot category probabilities, (C, h, w) float32, at the centres of feature cells.

    ``seg_map`` (H, W) int64 has no void; the grid (h, w) covers ``extent``, height and width in its
    pixels. Cells beyond the map (padding) are background.
    """
    labels = _sample_map(seg_map, grid_shape, extent)
    return F.one_hot(labels, num_classes).permute(2, 0, 1).float()


def true_boxes(inst_map: Tensor, objects: Mapping[str, Tensor], grid_shape: tuple[int, int],
               extent: tuple[float, float]) -> Tensor:
    """Give each feature cell the box of the object at its centre: (4, h, w) float32, nan for none.

    ``inst_map`` (H, W) int has the ids of the N ``objects``: ``ids`` (N,) int and ``bboxes`` (N, 4)
    float. Grid and extent are those of :func:`true_category_probs`.
    """
    cell_ids = _sample_map(inst_map, grid_shape, extent)
    boxes = torch.full((4, *grid_shape), torch.nan, device=inst_map.device)
    for index, box in zip(objects['ids'], objects['bboxes'].float(), strict=True):
        boxes[:, cell_ids == index] = box[:, None]
    return boxes


def _sample_map(label_map: Tensor, grid_shape: tuple[int, int],
                extent: tuple[float, float]) -> Tensor:
    """The values of a map (H, W) at the centres of the feature cells, (h, w); 0 beyond the map."""
    height, width = label_map.shape
    x, y = cell_points(grid_shape, extent, label_map.device).floor().long().unbind(-1)
    values = label_map[y.clamp(max=height - 1), x.clamp(max=width - 1)]
    return values.masked_fill((x >= width) | (y >= height), 0)
