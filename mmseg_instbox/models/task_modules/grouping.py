"""Grouping of pixels that agree on their box: pure functions on tensors (paper, section 3.3).

Shapes: n foreground cells, K candidate instances. Boxes are ``(x1, y1, x2, y2)`` in image pixels,
labels int64, ``owner`` ``(n,)`` int64 holds the candidate of each cell or -1.
"""
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .box_iou import box_iou

_LEVELS_PER_OCTAVE = 2
_OFFSET = 1 << 15  # makes bin indices positive; a bin index needs 17 bits
_WINDOW = [(dx, dy, (2 - abs(dx)) * (2 - abs(dy))) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]


class Candidates(NamedTuple):
    """Candidate instances: ``boxes`` (K, 4), ``labels`` (K,), ``votes`` (K,) float."""
    boxes: Tensor
    labels: Tensor
    votes: Tensor

    def select(self, index: Tensor) -> 'Candidates':
        """Candidates at ``index``, a mask or indices of ``(K,)``."""
        return Candidates(self.boxes[index], self.labels[index], self.votes[index])


def cast_votes(boxes: Tensor, labels: Tensor, img_shape: tuple[int, int], bin_size: float,
               relative: bool) -> tuple[Tensor, Tensor]:
    """Bins of the Hough space (category, size, centre) that each cell votes for.

    Args:
        boxes: ``(n, 4)``.
        labels: ``(n,)``.
        img_shape: ``(H, W)``; bins are laid out from the image's centre, so that a flipped image
            votes in flipped bins.
        bin_size: Width of a bin, in sizes of the box (``relative``) or in pixels.
        relative: Whether bins scale with the box. Then each cell votes at the two sizes next to its
            own, half an octave apart.

    Returns:
        tuple: ``(V,)`` int64 keys of the bins and ``(V,)`` indices of the voting cells.
    """
    size = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1)
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2 - boxes.new_tensor([img_shape[1], img_shape[0]]) / 2
    cells = torch.arange(len(boxes), device=boxes.device)
    if relative:
        level = (size.log2().mean(dim=1) * _LEVELS_PER_OCTAVE).floor()
        level = torch.cat([level, level + 1])
        width = bin_size * 2**(level / _LEVELS_PER_OCTAVE)
        cells, centre, labels = cells.repeat(2), centre.repeat(2, 1), labels.repeat(2)
    else:
        level = torch.zeros_like(labels)
        width = torch.full_like(size[:, 0], bin_size)
    bins = (centre / width[:, None]).floor().clamp(2 - _OFFSET, _OFFSET - 2).long() + _OFFSET
    return (((labels << 6) + level.long()) << 34) + (bins[:, 0] << 17) + bins[:, 1], cells


def find_maxima(keys: Tensor, cells: Tensor, boxes: Tensor, labels: Tensor) -> Candidates:
    """Local maxima of the votes, smoothed over 3 x 3 bins, as candidate instances.

    Args:
        keys: ``(V,)`` bins that got a vote, from :func:`cast_votes`.
        cells: ``(V,)`` the cells that cast them.
        boxes: ``(n, 4)``.
        labels: ``(n,)``.

    Returns:
        Candidates: The box of each is the mean over the votes of its window.
    """
    bins, inverse, counts = keys.unique(return_inverse=True, return_counts=True)
    sums = boxes.new_zeros((len(bins), 4), dtype=torch.float64)
    sums.index_add_(0, inverse, boxes[cells].double())

    neighbours = torch.stack([bins + (dx << 17) + dy for dx, dy, _ in _WINDOW])
    index = torch.searchsorted(bins, neighbours).clamp(max=len(bins) - 1)
    found = bins[index] == neighbours
    weights = found * torch.tensor([weight for *_, weight in _WINDOW], device=keys.device)[:, None]
    votes = (weights * counts[index]).sum(dim=0)
    peak = (torch.where(found, votes[index], 0).amax(dim=0) == votes).nonzero()[:, 0]

    index, weights = index[:, peak], weights[:, peak]
    mean = (sums[index] * weights[..., None]).sum(dim=0) / votes[peak, None]
    return Candidates(mean.to(boxes.dtype), bins[peak] >> 40, votes[peak].to(boxes.dtype) / 16)


def merge(candidates: Candidates, iou_thr: float) -> Candidates:
    """Non-maximum suppression of candidates of one category whose boxes overlap.

    Args:
        candidates: K of them.
        iou_thr: IoU above which the one with fewer votes is dropped.

    Returns:
        Candidates: Those kept, most votes first.
    """
    candidates = candidates.select(candidates.votes.sort(descending=True, stable=True).indices)
    boxes, labels, _ = candidates
    beats = (box_iou(boxes[:, None], boxes[None]) > iou_thr) & (labels[:, None] == labels[None])
    return candidates.select(greedy_keep(beats))


def greedy_keep(beats: Tensor) -> Tensor:
    """Which items greedy suppression keeps.

    Args:
        beats: ``(K, K)`` bool, whether item i suppresses item j if i itself is kept; only entries
            with i before j count, so items come best first.

    Returns:
        Tensor: ``(K,)`` bool.
    """
    beats = beats.triu(diagonal=1)
    keep = beats.new_ones(len(beats))
    while True:  # the fixed point, reached after as many rounds as chains are long, is greedy NMS
        survivors = ~(beats & keep[:, None]).any(dim=0)
        if torch.equal(survivors, keep):
            return keep
        keep = survivors


def agreement(boxes: Tensor, labels: Tensor, candidates: Candidates) -> Tensor:
    """IoU of each cell's box with each candidate's.

    Args:
        boxes: ``(n, 4)``.
        labels: ``(n,)``.
        candidates: K of them.

    Returns:
        Tensor: ``(n, K)``; 0 where the categories differ.
    """
    iou = box_iou(boxes[:, None], candidates.boxes[None])
    return iou * (labels[:, None] == candidates.labels[None])


def assign(iou: Tensor) -> tuple[Tensor, Tensor]:
    """Gives each cell to the candidate that its own box agrees with best.

    Args:
        iou: ``(n, K)`` from :func:`agreement`.

    Returns:
        tuple: ``owner`` ``(n,)`` and the IoU ``(n,)`` of each cell's box with its owner's.
    """
    if iou.shape[1] == 0:
        return iou.new_full(iou.shape[:1], -1, dtype=torch.long), iou.new_zeros(iou.shape[:1])
    best, owner = iou.max(dim=1)
    return torch.where(best > 0, owner, -1), best


def prune(iou: Tensor, num_cells: Tensor, min_gain: float) -> Tensor:
    """Drops candidates whose cells another candidate explains nearly as well.

    What a candidate is worth is the agreement that its cells would lose if it were taken away and
    they went to their second best, relative to the size of its box. The least worth is taken away
    until all that are left are worth ``min_gain``. Of those that share cells only one goes at a
    time; others go together.

    Args:
        iou: ``(n, K)`` from :func:`agreement`.
        num_cells: ``(K,)`` size of each candidate's box in cells.
        min_gain: Worth from which a candidate is kept.

    Returns:
        Tensor: ``(K',)`` indices of the candidates kept, ascending.
    """
    keep = torch.arange(iou.shape[1], device=iou.device)
    while len(keep) > 0:
        best, owner = F.pad(iou[:, keep], (0, 1)).topk(2, dim=1)
        gain = iou.new_zeros(len(keep) + 1, dtype=torch.float64)
        gain.index_add_(0, owner[:, 0], (best[:, 0] - best[:, 1]).double())
        gain = gain[:-1] / num_cells[keep]
        weak = gain < min_gain
        if not bool(weak.any()):
            break
        sharing = weak.new_zeros((len(gain) + 1, len(gain) + 1))
        sharing[owner[:, 0], owner[:, 1]] = True
        sharing = (sharing | sharing.T)[:-1, :-1]
        rank = torch.where(weak, gain.argsort(stable=True).argsort(), len(gain))
        least = torch.where(sharing, rank[None], len(gain)).amin(dim=1)
        keep = keep[~weak | (least < rank)]
    return keep


def owned_mean(values: Tensor, owner: Tensor, num: int, weights: Tensor | None = None) -> Tensor:
    """Mean over the cells of each candidate.

    Args:
        values: ``(n, D)``.
        owner: ``(n,)``.
        num: K.
        weights: ``(n,)``, ones by default.

    Returns:
        Tensor: ``(K, D)``; 0 for a candidate without cells. Summed in float64, so that the order of
            the cells does not matter.
    """
    weights = values.new_ones(len(values)) if weights is None else weights
    sums = values.new_zeros((num + 1, values.shape[1] + 1), dtype=torch.float64)
    rows = torch.cat([values * weights[:, None], weights[:, None]], dim=1).double()
    sums.index_add_(0, torch.where(owner < 0, num, owner), rows)
    return (sums[:num, :-1] / sums[:num, -1:].clamp(min=1e-9)).to(values.dtype)


def refine(boxes: Tensor, owner: Tensor, iou: Tensor, candidates: Candidates) -> Candidates:
    """Moves each candidate's box to the mean of its cells' boxes, weighted by their IoU with it."""
    mean = owned_mean(boxes, owner, len(candidates.labels), iou)
    owned = torch.bincount(owner[owner >= 0], minlength=len(mean))
    box = torch.where(owned[:, None] > 0, mean, candidates.boxes)
    return Candidates(box, candidates.labels, owned.to(boxes.dtype))


def drop_unowned(candidates: Candidates, owner: Tensor) -> tuple[Candidates, Tensor]:
    """The candidates that own a cell, and the owner ``(n,)`` of each cell, numbered anew."""
    owned = torch.bincount(owner[owner >= 0], minlength=len(candidates.labels)) > 0
    index = torch.cat([owned.cumsum(0) - 1, owned.new_full((1, ), -1, dtype=torch.long)])
    return candidates.select(owned), index[owner]


def box_cells(boxes: Tensor, cell_area: float, img_shape: tuple[int, int]) -> Tensor:
    """How many cells the part of each box inside the image covers, at least 1.

    Args:
        boxes: ``(K, 4)``.
        cell_area: Area of a cell in image pixels.
        img_shape: ``(H, W)``.

    Returns:
        Tensor: ``(K,)`` float.
    """
    x1, y1, x2, y2 = boxes.unbind(1)
    height, width = img_shape
    area = (x2.clamp(0, width) - x1.clamp(0, width)) * (y2.clamp(0, height) - y1.clamp(0, height))
    return (area / cell_area).clamp(min=1)


def interpolation_matrix(size: int, cells: int, extent: float, device: torch.device) -> Tensor:
    """Weights of bilinear interpolation along one axis, ``align_corners=False``, edges repeated.

    Args:
        size: Pixels along the axis.
        cells: Cells along the axis.
        extent: Pixels that the cells cover, at least ``size``.
        device: Device of the result.

    Returns:
        Tensor: ``(size, cells)`` float32, rows sum to 1.
    """
    pixels = torch.arange(size, device=device, dtype=torch.float32) + 0.5
    position = (pixels * (cells / extent) - 0.5).clamp(0, cells - 1)
    centres = torch.arange(cells, device=device, dtype=torch.float32)
    return (1 - (position[:, None] - centres[None]).abs()).clamp(min=0)


def paint(owners: Tensor, labels: Tensor, seg_map: Tensor, extent: tuple[float, float]) -> Tensor:
    """Carries owners from the cells to the image's pixels.

    A pixel goes to the instance of its own category that is strongest in the interpolated owner
    maps; the cells around an instance that have no owner count for it a little, so that pixels at
    the rim of a category, whose cells are not all of that category, find their instance.

    Args:
        owners: ``(h, w)`` int64, -1 for none; every instance owns a cell.
        labels: ``(K,)`` category of each instance, as in ``seg_map``.
        seg_map: ``(H, W)`` category of each pixel.
        extent: Pixels that the grid covers.

    Returns:
        Tensor: ``(H, W)`` int64, the instance of each pixel or -1.
    """
    h, w = owners.shape
    rows = interpolation_matrix(seg_map.shape[0], h, extent[0], owners.device)
    cols = interpolation_matrix(seg_map.shape[1], w, extent[1], owners.device)
    best = torch.zeros_like(seg_map, dtype=torch.float32)
    instance = torch.full_like(seg_map, -1)
    for k, label in enumerate(labels):
        ys, xs = (span(owners == k, dim) for dim in (1, 0))
        own = (owners[ys, xs] == k).float()
        spread = F.avg_pool2d(own[None, None], 3, 1, 1)[0, 0] * (owners[ys, xs] < 0)
        y, x = span(rows[:, ys] > 0, 1), span(cols[:, xs] > 0, 1)
        strength = rows[y, ys] @ torch.maximum(own, spread) @ cols[x, xs].T
        take = (strength > best[y, x]) & (seg_map[y, x] == label)
        best[y, x] = torch.where(take, strength, best[y, x])
        instance[y, x] = torch.where(take, k, instance[y, x])
    return instance


def span(mask: Tensor, dim: int, margin: int = 1) -> slice:
    """Range of the other axis in which a 2-D mask has True, widened by a margin; else empty."""
    hit = mask.any(dim=dim).nonzero()
    if len(hit) == 0:
        return slice(0, 0)
    return slice(max(int(hit[0]) - margin, 0), int(hit[-1]) + 1 + margin)


def instance_boxes(instance: Tensor, num: int) -> Tensor:
    """Bounding boxes of the instances of a map.

    Args:
        instance: ``(H, W)`` int64, -1 for none.
        num: K, more than any entry.

    Returns:
        Tensor: ``(K, 4)`` float32 x1, y1, x2, y2, right and bottom edge exclusive; one without
            pixels has a box without area.
    """
    sides = []
    for size, index in zip(instance.shape[::-1], (0, 1), strict=True):
        position = torch.arange(size, device=instance.device)
        hit = instance.new_zeros((num + 1, size), dtype=torch.uint8)
        hit[instance, position if index == 0 else position[:, None]] = 1
        low, high = hit[:num].argmax(dim=1), size - hit[:num].flip(1).argmax(dim=1)
        sides.append((low, torch.where(hit[:num].amax(dim=1) > 0, high, low)))
    (x1, x2), (y1, y2) = sides
    return torch.stack([x1, y1, x2, y2], dim=1).float()
