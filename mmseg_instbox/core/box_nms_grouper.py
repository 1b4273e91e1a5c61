import torch
from torch import Tensor

from mmseg_instbox.errors import InvalidInputError

from . import grouping
from .base_grouper import BaseGrouper, Cells
from .box_iou import box_iou
from .grouping import Candidates


class BoxNMSGrouper(BaseGrouper):
    """Groups pixels by non-maximum suppression of their boxes (the paper's own procedure).

    Greedy NMS over the boxes of a category's cells, the most probable cell first (the first in the
    order of the grid's rows among equals). The box of a cell that survives is an instance, and the
    cells that it suppresses are its mask. Regions may share cells, because a cell that one survivor
    has suppressed may agree with a later one too; of regions that overlap much, only the first is
    kept (region NMS). A cell goes to the first region left that has it. Cells of a region that was
    dropped belong to none, unless another region has them.

    The number of survivors grows quickly when the boxes are noisy. It is here to compare with;
    :class:`PixelBoxGrouper` is faster and sturdier.

    Args:
        box_iou_thr: IoU above which a box suppresses another.
        region_iou_thr: IoU of their sets of cells above which a region suppresses another.
        **kwargs: See :class:`BaseGrouper`.

    Raises:
        ValueError: If a threshold is not in [0, 1].
    """

    def __init__(self, box_iou_thr: float = 0.5, region_iou_thr: float = 0.5, **kwargs) -> None:
        super().__init__(**kwargs)
        if not 0 <= box_iou_thr <= 1 or not 0 <= region_iou_thr <= 1:
            raise InvalidInputError('BoxNMSGrouper needs box_iou_thr and region_iou_thr in [0, 1], '
                                    f'got {box_iou_thr} and {region_iou_thr}')
        self.box_iou_thr = box_iou_thr
        self.region_iou_thr = region_iou_thr

    def _group(self, cells: Cells) -> tuple[Candidates, Tensor, Tensor]:
        survivors, regions = suppress_boxes(cells.boxes, cells.labels, cells.prob, self.box_iou_thr)
        keep = grouping.greedy_keep(region_iou(regions) > self.region_iou_thr)
        survivors, regions = survivors[keep], regions[keep]
        owner = torch.where(regions.any(dim=0), regions.byte().argmax(dim=0), -1)
        iou = box_iou(cells.boxes, cells.boxes[survivors[owner]])
        votes = torch.bincount(owner[owner >= 0], minlength=len(survivors)).to(cells.prob)
        found = Candidates(cells.boxes[survivors], cells.labels[survivors], votes)
        return found, owner, iou  # each survivor owns its own cell: no other survivor suppresses it


def suppress_boxes(boxes: Tensor, labels: Tensor, prob: Tensor,
                   iou_thr: float) -> tuple[Tensor, Tensor]:
    """Greedy non-maximum suppression among the boxes of each category.

    Args:
        boxes: ``(n, 4)``.
        labels: ``(n,)`` int64.
        prob: ``(n,)``, by which they are ordered; equal ones keep their order.
        iou_thr: IoU above which a box suppresses one that comes later.

    Returns:
        tuple: Indices ``(K,)`` of the survivors, best first, and their regions ``(K, n)`` bool:
            the boxes of the category, suppressed before or not, whose IoU with the survivor is
            above the threshold, and itself.
    """
    order = prob.sort(descending=True, stable=True).indices
    boxes, labels = boxes[order], labels[order]
    survivors, regions = [], []
    alive = torch.ones_like(labels, dtype=torch.uint8)
    while bool(alive.any()):
        best = int(alive.argmax())  # the first of equals
        region = (box_iou(boxes[best], boxes) > iou_thr) & (labels == labels[best])
        region[best] = True
        alive[region] = 0
        survivors.append(best)
        regions.append(region)
    by_cell = torch.stack(regions)[:, order.argsort()]
    return order[survivors], by_cell


def region_iou(regions: Tensor) -> Tensor:
    """IoU of sets of cells.

    Args:
        regions: ``(K, n)`` bool, none empty.

    Returns:
        Tensor: ``(K, K)`` float32.
    """
    regions = regions.float()
    inter, size = regions @ regions.T, regions.sum(dim=1)
    return inter / (size[:, None] + size[None] - inter)
