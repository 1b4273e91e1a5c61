import math

from mmseg.registry import TASK_UTILS
from torch import Tensor

from . import grouping
from .base_grouper import BaseGrouper, Cells
from .grouping import Candidates


@TASK_UTILS.register_module()
class PixelBoxGrouper(BaseGrouper):
    """Groups the pixels of a category that agree on their box (paper, section 3.3).

    Every cell votes for its box's centre in bins that scale with the box; local maxima become
    candidates, overlapping ones are merged, every cell goes to the candidate that its own box
    agrees with best, boxes are refined from their cells, and candidates whose cells another one
    explains nearly as well are dropped. Masks take their category borders from the interpolated
    scores.

    Args:
        bin_size: Width of a voting bin, in sizes of the box, or in pixels if not ``relative_bins``.
        relative_bins: Whether bins scale with the box.
        merge_iou: IoU of their boxes above which two candidates are one.
        min_gain: What an instance must add to the agreement of cells and boxes: the sum over its
            cells of their IoU with its box over that with the next best, in sizes of its box.
        num_refine: How often boxes are refined and cells reassigned.

    Raises:
        ValueError: If a number is out of its range.
    """

    def __init__(self,
                 bin_size: float = 0.2,
                 relative_bins: bool = True,
                 merge_iou: float = 0.6,
                 min_gain: float = 0.15,
                 num_refine: int = 2) -> None:
        if bin_size <= 0 or not 0 <= merge_iou <= 1 or min_gain < 0 or num_refine < 0:
            raise ValueError(
                'PixelBoxGrouper needs bin_size > 0, merge_iou in [0, 1], min_gain >= 0 and '
                f'num_refine >= 0, got {bin_size}, {merge_iou}, {min_gain}, {num_refine}')
        self.bin_size = bin_size
        self.relative_bins = relative_bins
        self.merge_iou = merge_iou
        self.min_gain = min_gain
        self.num_refine = num_refine

    def _group(self, cells: Cells) -> tuple[Candidates, Tensor, Tensor]:
        boxes, labels = cells.boxes, cells.labels
        keys, voters = grouping.cast_votes(boxes, labels, cells.img_shape, self.bin_size,
                                           self.relative_bins)
        found = grouping.find_maxima(keys, voters, boxes, labels)
        found = grouping.merge(found, self.merge_iou)
        owner, iou = grouping.assign(grouping.agreement(boxes, labels, found))
        cell_area = math.prod(cells.extent) / math.prod(cells.grid_shape)
        for _ in range(self.num_refine):
            found = grouping.refine(boxes, owner, iou, found)
            found = grouping.merge(found, self.merge_iou)
            agreement = grouping.agreement(boxes, labels, found)
            sizes = grouping.box_cells(found.boxes, cell_area, cells.img_shape)
            keep = grouping.prune(agreement, sizes, self.min_gain)
            found = found.select(keep)
            owner, iou = grouping.assign(agreement[:, keep])
        return *grouping.drop_unowned(found, owner), iou
