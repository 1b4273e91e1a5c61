"""Candidate instances from the votes of cells: pure functions on tensors (paper, section 3.3).

Shapes, here and in :mod:`.assignment`: n thing cells with ``boxes`` ``(n, 4)`` in image pixels,
``labels`` ``(n,)`` int64, their category, and ``index`` ``(n,)`` int64, their place on the
flattened grid of ``(h, w)`` cells; K candidates; ``owner`` ``(n,)`` int64, the candidate of each
cell or -1; ``img_shape`` ``(H, W)``.
"""
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .box_iou import box_iou

_OFFSET = 1 << 15  # makes bin indices positive
_BIN_BITS = 17
_LEVEL_BITS = 6
_MAX_LEVEL = (1 << _LEVEL_BITS) - 1
_ROWS = 512  # candidates that are compared with others together, to bound memory
_CELLS = 1 << 15  # cells that are smoothed together, so that their numbers stay in the cache
_WINDOW = [(dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]


class Candidates(NamedTuple):
    """Candidate instances: ``boxes`` (K, 4), ``labels`` (K,), ``votes`` (K,) float."""
    boxes: Tensor
    labels: Tensor
    votes: Tensor

    def select(self, index: Tensor) -> 'Candidates':
        """Candidates at the indices ``index`` ``(K',)``."""
        return Candidates(*(each.index_select(0, index) for each in self))


def neighbours(index: Tensor, grid_shape: tuple[int, int]) -> Tensor:
    """The eight cells around each cell: ``(8, n)`` int64; n where none of the n cells is."""
    num, (h, w) = len(index), grid_shape
    width = w + 2  # a margin of one cell around the grid
    place = index + index // w * 2 + width + 1
    cell_at = index.new_full(((h + 2) * width, ), num)
    cell_at[place] = torch.arange(num, device=index.device)
    steps = [dy * width + dx for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dx or dy]
    return cell_at.take(place + index.new_tensor(steps)[:, None])


def smooth_boxes(boxes: Tensor, labels: Tensor, around: Tensor) -> Tensor:
    """Averages each cell's box with those ``around`` it of its category, from :func:`neighbours`,
    weighted by their IoU squared: boxes of one object differ by noise and agree."""
    rows = F.pad(boxes.T, (0, 1))  # coordinates first is faster; the last box stands for no cell
    padded, smooth = F.pad(labels, (0, 1), value=-1), torch.empty_like(boxes.T)
    for start in range(0, len(boxes), _CELLS):
        part = slice(start, start + _CELLS)
        index = around[:, part].flatten()
        others = rows.index_select(1, index).view(4, len(around), -1)
        weight = box_iou(boxes[None, part], others.permute(1, 2, 0)).square()
        weight *= padded.index_select(0, index).view(weight.shape) == labels[part]
        total = rows[:, :-1][:, part] + (others * weight).sum(dim=1)
        torch.div(total, 1 + weight.sum(dim=0), out=smooth[:, part])
    return smooth.T


def cast_votes(boxes: Tensor, labels: Tensor, img_shape: tuple[int, int], bin_size: float,
               relative: bool) -> Tensor:
    """Bins of the Hough space (category, size, centre) that each cell votes for: ``(L, n)`` int64.

    Bins are ``bin_size`` wide, in sizes of the box if ``relative``, else in pixels, and laid out
    from the image's centre, so that a flipped image votes in flipped bins. If ``relative``, L is 2:
    each cell votes at the two sizes next to its own, half an octave apart.
    """
    low, high = boxes.T[:2], boxes.T[2:]
    if relative:
        level = (high - low).clamp(min=1).prod(dim=0).log2().floor()  # octaves of area
        level = level.clamp(max=_MAX_LEVEL - 1)
        level = torch.stack([level, level + 1])
        width = bin_size * (level / 2).exp2()
    else:
        level = boxes.new_zeros(1, len(boxes))
        width = bin_size
    centre = (low + high - boxes.new_tensor([[img_shape[1]], [img_shape[0]]])) / 2
    bins = (centre[:, None] / width).floor().clamp(2 - _OFFSET, _OFFSET - 2).long() + _OFFSET
    category = (labels << _LEVEL_BITS) + level.long()
    return (((category << _BIN_BITS) + bins[0]) << _BIN_BITS) + bins[1]


def find_maxima(keys: Tensor, boxes: Tensor) -> Candidates:
    """Local maxima of the votes ``keys`` ``(L, n)`` from :func:`cast_votes`, smoothed over 3 x 3
    bins; the box of each is the mean over the votes of its window."""
    bins, inverse, counts = keys.unique(return_inverse=True, return_counts=True)
    sums = boxes.new_zeros((len(bins), 4), dtype=torch.float64)
    sums.index_add_(0, inverse.flatten(), boxes.double().repeat(len(keys), 1))

    near = bins + bins.new_tensor([(dx << _BIN_BITS) + dy for dx, dy in _WINDOW])[:, None]
    index = torch.searchsorted(bins, near).clamp_(max=len(bins) - 1)
    found = bins.take(index) == near
    weight = bins.new_tensor([(2 - abs(dx)) * (2 - abs(dy)) for dx, dy in _WINDOW])[:, None] * found
    votes = (weight * counts.take(index)).sum(dim=0)
    peak = ((votes.take(index) * found).amax(dim=0) == votes).nonzero()[:, 0]

    index, weight = index.index_select(1, peak), weight.index_select(1, peak)
    total = (sums.index_select(0, index.flatten()).view(*index.shape, 4) * weight[..., None]).sum(0)
    votes = votes.index_select(0, peak)
    labels = bins.index_select(0, peak) >> (2 * _BIN_BITS + _LEVEL_BITS)
    return Candidates((total / votes[:, None]).to(boxes.dtype), labels, votes.to(boxes.dtype) / 16)


def most_voted(candidates: Candidates, img_shape: tuple[int, int], max_num: int) -> Candidates:
    """At most ``max_num`` candidates, those with most votes first; of equals the larger box, then
    the one further from the image's middle, so that a flipped image has the same order."""
    low, high = candidates.boxes.T[:2], candidates.boxes.T[2:]
    middle = candidates.boxes.new_tensor([[img_shape[1]], [img_shape[0]]])
    distance = (low + high - middle).square().sum(dim=0)
    tie = ((high - low).prod(dim=0) + distance).mul(10).round()
    order = tie.sort(descending=True, stable=True).indices
    votes = candidates.votes.index_select(0, order)
    order = order.index_select(0, votes.sort(descending=True, stable=True).indices[:max_num])
    return candidates.select(order)


def merge(candidates: Candidates, iou_thr: float) -> Candidates:
    """Non-maximum suppression, best first: of two candidates of one category whose boxes have an
    IoU above ``iou_thr`` the later one is dropped."""
    boxes, labels, _ = candidates
    if not len(labels):
        return candidates
    start, end = boxes.double().T[::2]  # in one row, a category after the other
    shift = labels * (end.amax() - start.amin() + 1)
    start, order = (start + shift).sort()
    last = torch.searchsorted(start, (end + shift).take(order), right=True)
    beats = []
    for rows in torch.arange(len(labels), device=labels.device).split(_ROWS):
        one, other = expand_ranges(rows + 1, last[rows] - rows - 1)
        one, other = order.take(rows.take(one)), order.take(other)
        overlap = box_iou(boxes.index_select(0, one), boxes.index_select(0, other)) > iou_thr
        pairs = torch.stack([one, other])[:, overlap & (labels.take(one) == labels.take(other))]
        beats.append(torch.stack([pairs.amin(dim=0), pairs.amax(dim=0)]))
    return candidates.select(greedy_keep(*torch.cat(beats, dim=1), len(labels)).nonzero()[:, 0])


def expand_ranges(starts: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """The numbers of ranges ``(R,)`` of ``counts`` numbers from ``starts`` on, one range after the
    other: the range of each, and the number itself."""
    which = torch.arange(len(counts), device=counts.device).repeat_interleave(counts)
    first = starts + counts - counts.cumsum(0)
    return which, first.index_select(0, which) + torch.arange(len(which), device=counts.device)


def greedy_keep(winners: Tensor, losers: Tensor, num: int) -> Tensor:
    """Which of ``num`` items, best first, greedy suppression keeps, ``(num,)`` bool, where item
    ``winners[p]``, if kept, suppresses the later item ``losers[p]``, both ``(P,)`` int64."""
    keep = torch.ones(num, dtype=torch.bool, device=winners.device)
    while True:  # the fixed point, reached after as many rounds as chains are long, is greedy NMS
        survivors = torch.ones_like(keep).index_fill_(0, losers[keep.take(winners)], False)
        if torch.equal(survivors, keep):
            return keep
        keep = survivors


def owned_sums(values: Tensor, owner: Tensor, num: int, weights: Tensor | None = None) -> Tensor:
    """Sums ``(K, D + 1)`` of ``values`` ``(n, D)``, by ``weights`` ``(n,)``, over the cells of
    ``num`` candidates: float64, so that the order of cells does not matter; the last column sums
    the weights, which are ones by default."""
    rows = F.pad(values, (0, 1), value=1).double()
    if weights is not None:
        rows = rows * weights[:, None]
    sums = rows.new_zeros(num + 1, rows.shape[1])
    return sums.index_add_(0, owner % (num + 1), rows)[:num]


def owned_mean(values: Tensor, owner: Tensor, num: int, weights: Tensor | None = None) -> Tensor:
    """Mean ``(K, D)`` over the cells of each candidate, 0 without cells; arguments as of
    :func:`owned_sums`."""
    sums = owned_sums(values, owner, num, weights)
    return (sums[:, :-1] / sums[:, -1:].clamp(min=1e-9)).to(values.dtype)


def refine(boxes: Tensor, owner: Tensor, iou: Tensor, candidates: Candidates) -> Candidates:
    """Moves each candidate's box to the mean of its cells' boxes, weighted by their ``iou``
    ``(n,)`` with it; every candidate owns a cell."""
    mean = owned_mean(boxes, owner, len(candidates.labels), iou)
    return candidates._replace(boxes=mean)


def drop_unowned(candidates: Candidates, owner: Tensor) -> tuple[Candidates, Tensor]:
    """The candidates that own a cell, and the owner ``(n,)`` of each cell, numbered anew."""
    owned = torch.bincount(owner[owner >= 0], minlength=len(candidates.labels)) > 0
    index = torch.cat([owned.cumsum(0) - 1, owned.new_full((1, ), -1, dtype=torch.long)])
    return candidates.select(owned.nonzero()[:, 0]), index[owner]


def box_cells(boxes: Tensor, cell_area: float, img_shape: tuple[int, int]) -> Tensor:
    """How many cells of ``cell_area`` pixels the part of each box inside the image covers, at
    least 1: ``(K,)`` float."""
    height, width = img_shape
    x1, y1, x2, y2 = boxes.clamp(min=0).unbind(1)
    area = (x2.clamp(max=width) - x1.clamp(max=width)) * (
        y2.clamp(max=height) - y1.clamp(max=height))
    return (area / cell_area).clamp(min=1)
