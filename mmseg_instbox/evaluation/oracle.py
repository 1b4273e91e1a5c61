"""Grouping with the truth in place of a prediction, to see what each part costs."""
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mmseg_instbox.core.base_grouper import BaseGrouper, category_map
from mmseg_instbox.core.feature_grid import VOID, cell_points

from .replay import regroup


@dataclass(frozen=True)
class Oracle:
    """Groups on the network's grid with true categories, true boxes, or both.

    True categories have the borders of the ground truth, pixel by pixel; void is category 0. A cell
    has the true box of the object at its centre; where there is none it keeps the predicted one.

    Args:
        grouper: A grouper.
        thing_ids: Index among the categories of each thing class.
        categories: Whether the categories are the true ones.
        boxes: Whether the boxes are.
    """
    grouper: BaseGrouper
    thing_ids: Sequence[int]
    categories: bool
    boxes: bool

    def __call__(self, sample: dict) -> dict:
        """Add ``pred_instances`` to a sample of ``DumpedSamples``."""
        scores, boxes = sample['pred_scores']['data'], sample['pred_boxes']['data']
        seg_map, extent = sample['pred_sem_seg']['data'][0], sample['grid_extent']
        if self.categories:
            seg_map = true_category_map(sample['gt_sem_seg']['data'][0])
            scores = true_category_scores(seg_map, scores.shape[1:], extent, len(scores))
        if self.boxes:
            truth = _object_boxes(sample, boxes.shape[1:], extent)
            boxes = torch.where(truth.isnan(), boxes, truth)
        return regroup(sample, self.grouper, scores, boxes, self.thing_ids, extent, seg_map)


@dataclass(frozen=True)
class Ceiling:
    """The best that scores and boxes on a grid of a feature stride can do.

    True categories and boxes are sampled at the cells' centres; as in a prediction, categories are
    interpolated to the pixels, so ``pred_sem_seg`` changes too. Cells without an object do not
    take part in the grouping.

    Args:
        grouper: A grouper.
        thing_ids: Index among the categories of each thing class.
        stride: Pixels of the original image a cell.
    """
    grouper: BaseGrouper
    thing_ids: Sequence[int]
    stride: int

    def __call__(self, sample: dict) -> dict:
        """Add ``pred_instances`` and ``pred_sem_seg`` to a sample of ``DumpedSamples``."""
        truth = true_category_map(sample['gt_sem_seg']['data'][0])
        shape = tuple(truth.shape)
        grid = tuple(math.ceil(size / self.stride) for size in shape)
        scores = true_category_scores(truth, grid, shape, len(sample['pred_scores']['data']))
        boxes = _object_boxes(sample, grid, shape)
        seg_map = category_map(scores, shape, shape)
        sample = dict(sample, pred_sem_seg=dict(data=seg_map[None]))
        return regroup(sample, self.grouper, scores, boxes, self.thing_ids, shape, seg_map)


def true_category_map(gt_sem_seg: Tensor) -> Tensor:
    """Turn void pixels of a category map, (H, W), into category 0, background; int64."""
    gt_sem_seg = gt_sem_seg.long()
    return gt_sem_seg.masked_fill(gt_sem_seg == VOID, 0)


def true_category_scores(seg_map: Tensor, grid_shape: tuple[int, int],
                         extent: tuple[float, float], num_classes: int) -> Tensor:
    """Sample one-hot category probabilities at the centres of the feature cells.

    Args:
        seg_map: Category of each pixel without void, (H, W) int64.
        grid_shape: Rows and columns (h, w) of the feature grid.
        extent: Height and width, in pixels of ``seg_map``, of the area that the grid covers. Cells
            beyond the map (padding) are background.
        num_classes: Number of categories C.

    Returns:
        Tensor: Probabilities, (C, h, w) float32.
    """
    labels = _sample_map(seg_map, grid_shape, extent)
    return F.one_hot(labels, num_classes).permute(2, 0, 1).float()


def true_boxes(inst_map: Tensor, ids: Tensor, bboxes: Tensor, grid_shape: tuple[int, int],
               extent: tuple[float, float]) -> Tensor:
    """Give each feature cell the box of the object at its centre.

    Args:
        inst_map: Id of the object of each pixel, (H, W) int.
        ids: Ids of the N objects, (N,) int.
        bboxes: Their boxes, (N, 4) float.
        grid_shape: Rows and columns (h, w) of the feature grid.
        extent: Height and width, in pixels of ``inst_map``, of the area that the grid covers.

    Returns:
        Tensor: Boxes, (4, h, w) float32; nan where none of the objects is.
    """
    cell_ids = _sample_map(inst_map.long(), grid_shape, extent)
    boxes = torch.full((*grid_shape, 4), torch.nan, device=inst_map.device)
    ids, order = ids.long().sort()
    is_object = torch.isin(cell_ids, ids)
    boxes[is_object] = bboxes.float()[order[torch.searchsorted(ids, cell_ids[is_object])]]
    return boxes.permute(2, 0, 1)


def _object_boxes(sample: dict, grid_shape: tuple[int, int],
                  extent: tuple[float, float]) -> Tensor:
    objects = sample['gt_instances']
    return true_boxes(sample['gt_inst_map']['data'][0], objects['ids'], objects['bboxes'],
                      grid_shape, extent)


def _sample_map(label_map: Tensor, grid_shape: tuple[int, int],
                extent: tuple[float, float]) -> Tensor:
    """The values of a map (H, W) at the centres of the feature cells, (h, w); 0 beyond the map."""
    height, width = label_map.shape
    x, y = cell_points(grid_shape, extent, label_map.device).floor().long().unbind(-1)
    values = label_map[y.clamp(max=height - 1), x.clamp(max=width - 1)]
    return values.masked_fill((x >= width) | (y >= height), 0)
