"""Groupers to compare with: the paper's own procedure, and that of Panoptic-DeepLab."""
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InvalidInputError
from . import grouping
from .base_grouper import BaseGrouper, Cells
from .box_iou import box_iou
from .grouping import Candidates


class BoxNMSGrouper(BaseGrouper):
    """Groups pixels by non-maximum suppression of their boxes (the paper's own procedure).

    Greedy NMS over the boxes of a category's cells, the most probable cell first. The box of a cell
    that survives is an instance, the cells that it suppresses are its region. Regions may share
    cells; of those that overlap much only the first is kept (region NMS), and a cell goes to the
    first region left that has it, or to none. With noisy boxes many survive:
    :class:`.PixelBoxGrouper` is faster and more robust.

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
        beats = (region_iou(regions) > self.region_iou_thr).triu(diagonal=1)
        keep = grouping.greedy_keep(*beats.nonzero(as_tuple=True), len(survivors))
        survivors, regions = survivors[keep], regions[keep]
        owner = torch.where(regions.any(dim=0), regions.byte().argmax(dim=0), -1)
        iou = box_iou(cells.boxes, cells.boxes[survivors[owner]])
        votes = torch.bincount(owner[owner >= 0], minlength=len(survivors)).to(cells.prob)
        found = Candidates(cells.boxes[survivors], cells.labels[survivors], votes)
        return found, owner, iou  # each survivor owns its own cell: no other survivor suppresses it


def suppress_boxes(boxes: Tensor, labels: Tensor, prob: Tensor,
                   iou_thr: float) -> tuple[Tensor, Tensor]:
    """Greedy non-maximum suppression among the boxes ``(n, 4)`` of each category, most probable
    first: the indices ``(K,)`` of the survivors, and their regions ``(K, n)`` bool, all boxes of
    the category whose IoU with the survivor is above ``iou_thr``, and itself."""
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
    """IoU ``(K, K)`` float32 of sets of cells ``(K, n)`` bool, none empty."""
    regions = regions.float()
    inter, size = regions @ regions.T, regions.sum(dim=1)
    return inter / (size[:, None] + size[None] - inter)


class CentreGrouper(BaseGrouper):
    """Groups pixels by the centres of their boxes, as Panoptic-DeepLab does (Cheng et al., 2020,
    arXiv 1911.10194, section 3.2).

    The heat map of a category counts how many boxes' centres fall into each cell, blurred. Local
    maxima are the objects' centres, and each cell goes to the one of its category that lies nearest
    to its own. Sizes are not used; centres less than 2 ``sigma`` apart become one. Of the settings
    tried, the defaults have the best mean F1 in ``tools/benchmarks/grouping.py``.

    Args:
        sigma: Standard deviation of the blur in cells.
        kernel: Side in cells of the window in which a maximum must be the largest; odd.
        min_votes: Height of the heat map below which there is no centre; a centre on which n cells
            agree exactly is about n / (2 pi sigma^2) high.
        max_centres: How many centres of an image are kept, the highest.
        **kwargs: See :class:`BaseGrouper`.

    Raises:
        ValueError: If a number is out of its range.
    """

    def __init__(self,
                 sigma: float = 2.0,
                 kernel: int = 3,
                 min_votes: float = 0.02,
                 max_centres: int = 200,
                 **kwargs) -> None:
        super().__init__(**kwargs)
        if sigma <= 0 or kernel < 1 or kernel % 2 == 0 or min_votes <= 0 or max_centres < 1:
            raise InvalidInputError('CentreGrouper needs sigma > 0, kernel odd, min_votes > 0 and '
                                    f'max_centres >= 1, got {sigma}, {kernel}, {min_votes}, '
                                    f'{max_centres}')
        self.sigma = sigma
        self.kernel = kernel
        self.min_votes = min_votes
        self.max_centres = max_centres

    def _group(self, cells: Cells) -> tuple[Candidates, Tensor, Tensor]:
        centres = grid_centres(cells)
        categories, which = cells.labels.unique(return_inverse=True)
        heat = centre_heat(centres, which, (len(categories), *cells.grid_shape), self.sigma)
        peaks = find_peaks(heat, self.kernel, self.min_votes, self.max_centres)
        owner = nearest_peak(centres, which, peaks)
        labels = categories[peaks[:, 0]]
        boxes = grouping.owned_mean(cells.boxes, owner, len(peaks))
        votes = heat[tuple(peaks.T)]
        found, owner = grouping.drop_unowned(Candidates(boxes, labels, votes), owner)
        no_box = found.boxes.new_zeros(1, 4)  # of owner -1
        return found, owner, box_iou(cells.boxes, torch.cat([found.boxes, no_box])[owner])


def grid_centres(cells: Cells) -> Tensor:
    """Centres ``(n, 2)`` x, y of the cells' boxes in cells; any outside move to the edge."""
    (h, w), (height, width) = cells.grid_shape, cells.extent
    centres = (cells.boxes[:, :2] + cells.boxes[:, 2:]) / 2
    x, y = centres[:, 0] * (w / width), centres[:, 1] * (h / height)
    return torch.stack([x.clamp(0, w), y.clamp(0, h)], dim=1)


def centre_heat(centres: Tensor, which: Tensor, shape: tuple[int, int, int],
                sigma: float) -> Tensor:
    """How many ``centres`` ``(n, 2)``, x and y in cells, fall into each cell of the map ``which``
    ``(n,)`` int64 of each, blurred by a Gaussian up to 3 ``sigma``: float32 of ``shape``
    ``(M, h, w)``."""
    num, h, w = shape
    x, y = (c.long().clamp(max=size - 1) for c, size in zip(centres.T, (w, h), strict=True))
    counts = torch.bincount((which * h + y) * w + x, minlength=num * h * w)
    reach = math.ceil(3 * sigma)
    steps = torch.arange(-reach, reach + 1, device=centres.device, dtype=torch.float32)
    weights = (-steps**2 / (2 * sigma**2)).exp()
    weights = weights / weights.sum()
    heat = counts.view(num, 1, h, w).float()
    heat = F.conv2d(heat, weights[None, None, :, None], padding=(reach, 0))
    return F.conv2d(heat, weights[None, None, None], padding=(0, reach))[:, 0]


def find_peaks(heat: Tensor, kernel: int, min_height: float, max_num: int) -> Tensor:
    """Local maxima of heat maps ``(M, h, w)`` from ``min_height`` on, by max pooling as in
    Panoptic-DeepLab, the ``max_num`` highest: ``(K, 3)`` int64 map, row and column of each."""
    pooled = F.max_pool2d(heat[:, None], kernel, stride=1, padding=kernel // 2)[:, 0]
    peaks = ((heat == pooled) & (heat >= min_height)).nonzero()
    order = heat[tuple(peaks.T)].sort(descending=True, stable=True).indices
    return peaks[order[:max_num]]


def nearest_peak(centres: Tensor, which: Tensor, peaks: Tensor) -> Tensor:
    """The peak, of :func:`find_peaks`, that lies nearest to each centre on its own map: ``(n,)``
    int64, -1 for none; others as of :func:`centre_heat`."""
    if len(peaks) == 0:
        return torch.full_like(which, -1)
    middle = peaks[:, [2, 1]] + 0.5
    distance = (centres[:, None] - middle[None]).square().sum(dim=-1)
    distance[which[:, None] != peaks[None, :, 0]] = torch.inf
    least, owner = distance.min(dim=1)
    return torch.where(least.isfinite(), owner, -1)
