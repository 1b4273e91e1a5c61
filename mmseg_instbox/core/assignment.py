"""Which candidate each cell goes to, and which candidates stay: pure functions on tensors.

A candidate bids for a cell the IoU of its box with the cell's own, and the highest bid wins::

    cell             a   b   c   d   e
    candidate 1     .9  .8  .7  .3   0      wins a b c; without it they would lose .2 + .2 + .2
    candidate 2     .7  .6  .5  .5   0      wins d; without it d would lose .5 - .3: little, so 2
    candidate 3      0   0   0  .2  .8      goes, and d falls to 1. 3 alone explains e, and stays

Shapes as in :mod:`.grouping`: n thing cells, K candidates.
"""
import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .box_iou import box_iou
from .grouping import Candidates, expand_ranges

_ONE = 1 << 30  # IoU as whole numbers, whose sums do not depend on the order
_CODE_BITS = 20
_CODE_MASK = (1 << _CODE_BITS) - 1
_SIDE = 32  # cells of a square
_ROWS = 1024  # patches and candidates that are looked at together, to bound memory


class Patches(NamedTuple):
    """The cells of a category in a square of the grid, G times.

    ``cells`` (n,) int64 indices, patch after patch; ``starts`` and ``counts`` (G,) int64 say which
    are those of a patch. ``labels`` (G,); ``hulls`` (G, 4) the box around all boxes of its cells.
    """
    cells: Tensor
    starts: Tensor
    counts: Tensor
    labels: Tensor
    hulls: Tensor


class Agreement(NamedTuple):
    """The pairs of a cell and a candidate whose boxes agree at all, P of them, in any order.

    ``cells`` (P,) int64 and ``candidates`` (P,) int64 are indices; ``iou`` (P,), above 0.
    """
    cells: Tensor
    candidates: Tensor
    iou: Tensor


def find_patches(boxes: Tensor, labels: Tensor, index: Tensor,
                 grid_shape: tuple[int, int]) -> Patches:
    """Sorts cells into patches, whose boxes few of the candidates overlap."""
    width = grid_shape[1]
    square = index // width // _SIDE * (width // _SIDE + 1) + index % width // _SIDE
    key, cells = (labels * math.prod(grid_shape) + square).sort(stable=True)
    _, patch, counts = key.unique_consecutive(return_inverse=True, return_counts=True)
    starts = counts.cumsum(0) - counts
    sides = boxes.T.index_select(1, cells)
    hulls = torch.empty_like(sides[:, :len(counts)])
    hulls[:2].scatter_reduce_(1, patch.expand(2, -1), sides[:2], 'amin', include_self=False)
    hulls[2:].scatter_reduce_(1, patch.expand(2, -1), sides[2:], 'amax', include_self=False)
    return Patches(cells, starts, counts, labels.take(cells.take(starts)), hulls.T)


def find_agreement(boxes: Tensor, candidates: Candidates, patches: Patches) -> Agreement:
    """The IoU of each cell's box with the candidates of its category, where they overlap, so that
    work and memory grow with the cells alone."""
    low, high = candidates.boxes[:, :2], candidates.boxes[:, 2:]
    near = patches.labels[:, None] == candidates.labels
    for axis in (0, 1):
        near &= patches.hulls[:, axis, None] < high[:, axis]
        near &= patches.hulls[:, axis + 2, None] > low[:, axis]
    rows, parts = boxes.T, []
    for patch, other in zip(*(each.split(_ROWS) for each in near.nonzero(as_tuple=True)),
                            strict=True):
        which, place = expand_ranges(patches.starts.take(patch), patches.counts.take(patch))
        cell, other = patches.cells.index_select(0, place), other.index_select(0, which)
        iou = box_iou(rows.index_select(1, cell).T, candidates.boxes.T.index_select(1, other).T)
        some = (iou > 0).nonzero()[:, 0]
        parts.append([each.index_select(0, some) for each in (cell, other, iou)])
    return Agreement(*(torch.cat(each) for each in zip(*parts, strict=True)))


def assign(agreement: Agreement, num: int, num_cells: Tensor, min_gain: float,
           coverage: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """Gives each cell to the candidate that its own box agrees with best, and drops candidates
    whose cells another candidate explains nearly as well.

    A candidate is worth the agreement that its cells would lose if they went to their second best,
    relative to its size. The least worth is taken away until all that are left are worth at least
    ``min_gain``; of those that share cells only one goes at a time.

    Args:
        agreement: Of cells and candidates; the first candidate wins among equals. IoU are compared
            to 9 decimal places.
        num: Number of cells n.
        num_cells: ``(K,)`` size of each candidate's box in cells.
        min_gain: Worth from which a candidate is kept.
        coverage: Share of its box that an object is expected to fill; of one that fills less, the
            size is the sum of the IoU of all cells with its box, over this share, so that thin
            objects are worth as much as others.

    Returns:
        tuple: ``(K',)`` indices of the candidates kept, ascending; ``owner`` ``(n,)``, an index
            into them; and the IoU ``(n,)`` of each cell's box with its owner's, 0 without one.
    """
    total = len(num_cells)
    # each round is a few small steps: NumPy's cost less than torch's, and a GPU would wait for each
    cells, other, iou = (each.cpu().numpy() for each in agreement)
    bids = (iou * np.float32(_ONE)).astype(np.int64)
    agreeing = np.bincount(total - other, weights=bids, minlength=total + 1) / _ONE
    # no two bids for a cell are equal. Codes: 1 is the last candidate, 0 means no candidate
    bids = (bids << _CODE_BITS) + (total - other)
    code = np.arange(total, 0, -1)
    size = np.append(1.0, num_cells.double().cpu().numpy()[::-1])  # by code
    size = np.minimum(size, np.maximum(agreeing / coverage, 1))
    least_gain = np.maximum(size * (min_gain * _ONE), 1)
    least_gain[0] = 0
    while True:
        best, second = np.zeros((2, num), np.int64)
        np.maximum.at(best, cells, bids)
        rest = bids != best[cells]
        np.maximum.at(second, cells[rest], bids[rest])
        owner, runner_up = best & _CODE_MASK, second & _CODE_MASK
        lost = (best >> _CODE_BITS) - (second >> _CODE_BITS)
        gain = np.bincount(owner, weights=lost, minlength=total + 1)  # whole numbers: exact
        weak = gain < least_gain
        if not weak[code].any():
            break
        stays = ~_least_of_neighbours(gain / size, weak, owner, runner_up)
        code = code[stays[code]]
        kept = stays[bids & _CODE_MASK]
        cells, bids = cells[kept], bids[kept]
    index = np.full(total + 1, -1)
    index[code] = np.arange(len(code))
    results = (total - code, index[owner], (best >> _CODE_BITS) / _ONE)
    keep, owner, best = (torch.from_numpy(each).to(num_cells.device) for each in results)
    return keep, owner, best.float()


def _least_of_neighbours(worth: np.ndarray, weak: np.ndarray, owner: np.ndarray,
                         runner_up: np.ndarray) -> np.ndarray:
    """Which weak candidates, ``(K + 1,)`` bool by code, are worth less than every weak one with
    which they share a cell, as its ``owner`` or ``runner_up`` ``(n,)``, codes."""
    order = worth.argsort(kind='stable')
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    rank[~weak] = len(order)
    least = rank.copy()
    np.minimum.at(least, owner, rank[runner_up])
    np.minimum.at(least, runner_up, rank[owner])
    return weak & (rank == least)
