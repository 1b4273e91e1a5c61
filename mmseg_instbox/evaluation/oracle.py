"""Grouping with the truth in place of a prediction, to see what each part costs."""
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from mmseg_instbox.core.base_grouper import BaseGrouper, category_map

from .functional import true_boxes, true_category_map, true_category_scores
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
        """The sample of ``DumpedSamples`` with ``pred_instances``."""
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
        """The sample of ``DumpedSamples`` with ``pred_instances`` and ``pred_sem_seg``."""
        truth = true_category_map(sample['gt_sem_seg']['data'][0])
        shape = tuple(truth.shape)
        grid = tuple(math.ceil(size / self.stride) for size in shape)
        scores = true_category_scores(truth, grid, shape, len(sample['pred_scores']['data']))
        boxes = _object_boxes(sample, grid, shape)
        seg_map = category_map(scores, shape, shape)
        sample = dict(sample, pred_sem_seg=dict(data=seg_map[None]))
        return regroup(sample, self.grouper, scores, boxes, self.thing_ids, shape, seg_map)


def _object_boxes(sample: dict, grid_shape: tuple[int, int],
                  extent: tuple[float, float]) -> torch.Tensor:
    objects = sample['gt_instances']
    return true_boxes(sample['gt_inst_map']['data'][0], objects['ids'], objects['bboxes'],
                      grid_shape, extent)
