"""Which candidate each cell goes to, and which candidates stay: pure functions on tensors.

A candidate bids for a cell the IoU of its box with the cell's own, and the highest bid wins::

    cell             a   b   c   d   e
    candidate 1     .9  .8  .7  .3   0      wins a b c; without it they would lose .2 + .2 + .2
    candidate 2     .7  .6  .5  .5   0      wins d; without it d would lose .5 - .3: little, so 2
    candidate 3      0   0   0  .2  .8      goes, and d falls to 1. 3 alone explains e, and stays

Shapes as in :mod:`.grouping`: n thing cells, K candidates.
"""
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .box_iou import box_iou
from .grouping import Candidates

_ONE = 1 << 30  # IoU as whole numbers, whose sums do not depend on the order
_CODE_BITS = 20
_CODE_MASK = (1 << _CODE_BITS) - 1
_TOGETHER = 1 << 22  # pairs of a candidate and a cell up to which all are looked at
_SIDE = 32  # cells of a block, beyond that


class Block(NamedTuple):
    """How some cells agree with the candidates near them; with others they do not at all.

    ``cells`` (m,) int64 and ``candidates`` (k,) int64, ascending, are indices; ``iou`` (k, m).
    """
    cells: Tensor
    candidates: Tensor
    iou: Tensor


def agreement(boxes: Tensor, labels: Tensor, candidates: Candidates) -> Tensor:
    """IoU ``(K, n)`` of each cell's box with each candidate's; 0 where the categories differ."""
    iou = box_iou(candidates.boxes[:, None], boxes[None])
    return iou * (candidates.labels[:, None] == labels[None])


def agreement_blocks(boxes: Tensor, labels: Tensor, candidates: Candidates, index: Tensor,
                     grid_shape: tuple[int, int]) -> Iterator[Block]:
    """:func:`agreement` of all cells, in blocks of cells that lie together and whose boxes few of
    the candidates overlap, so that work and memory grow with the cells alone; one block where that
    is little."""
    every = torch.arange(len(candidates.labels), device=boxes.device)
    if len(boxes) * len(every) <= _TOGETHER:
        yield Block(torch.arange(len(boxes), device=boxes.device), every,
                    agreement(boxes, labels, candidates))
        return
    width = grid_shape[1]
    square = index // width // _SIDE * (width // _SIDE + 1) + index % width // _SIDE
    _, counts = square.unique(return_counts=True)
    for cells in square.argsort(stable=True).split(counts.tolist()):
        own_boxes, own_labels = boxes[cells], labels[cells]
        low, high = own_boxes[:, :2].amin(dim=0), own_boxes[:, 2:].amax(dim=0)
        near = (candidates.boxes[:, :2] < high) & (candidates.boxes[:, 2:] > low)
        near = near.all(dim=1) & torch.isin(candidates.labels, own_labels.unique())
        near = near.nonzero()[:, 0]
        iou = agreement(own_boxes, own_labels, candidates.select(near))
        some = (iou > 0).any(dim=1)
        yield Block(cells, near[some], iou[some])


def assign_blocks(blocks: Iterable[Block], num: int, num_cells: Tensor, min_gain: float,
                  coverage: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """Gives each cell to the candidate that its own box agrees with best, and drops candidates
    whose cells another candidate explains nearly as well.

    A candidate is worth the agreement that its cells would lose if they went to their second best,
    relative to its size. The least worth is taken away until all that are left are worth at least
    ``min_gain``; of those that share cells only one goes at a time.

    Args:
        blocks: From :func:`agreement_blocks`; the first candidate wins among equals. IoU are
            compared to 9 decimal places.
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
    code = np.arange(total, 0, -1)
    best, second = np.zeros((2, num), np.int64)
    changed = bids = [_Bids(block, total) for block in blocks]
    agreeing = np.zeros(total + 1)
    for each in bids:
        agreeing[each.code] += (each.bids >> _CODE_BITS).sum(axis=1) / _ONE
    size = np.append(1.0, num_cells.double().cpu().numpy()[::-1])  # by code
    size = np.minimum(size, np.maximum(agreeing / coverage, 1))
    least_gain = np.maximum(size * (min_gain * _ONE), 1)
    least_gain[0] = 0
    while True:
        for each in changed:
            each.find_best(best, second)
        owner, runner_up = best & _CODE_MASK, second & _CODE_MASK
        lost = (best >> _CODE_BITS) - (second >> _CODE_BITS)
        gain = np.bincount(owner, weights=lost, minlength=total + 1)  # whole numbers: exact
        weak = gain < least_gain
        if not weak[code].any():
            break
        stays = ~_least_of_neighbours(gain / size, weak, owner, runner_up)
        code = code[stays[code]]
        changed = [each for each in bids if each.drop(stays)]
    index = np.full(total + 1, -1)
    index[code] = np.arange(len(code))
    results = (total - code, index[owner], (best >> _CODE_BITS) / _ONE)
    keep, owner, best = (torch.from_numpy(each).to(num_cells.device) for each in results)
    return keep, owner, best.float()


class _Bids:
    """What the candidates of a block bid for its cells: IoU with the candidate's code below, so
    that no two bids for a cell are equal. Codes: 1 is the last candidate, 0 means no candidate."""

    def __init__(self, block: Block, total: int) -> None:
        self.cells = block.cells.cpu().numpy()
        self.code = total - block.candidates.cpu().numpy()
        bids = (block.iou * _ONE).long().cpu().numpy()
        bids <<= _CODE_BITS
        bids += self.code[:, None]
        bids *= (block.iou > 0).cpu().numpy()
        self.bids = bids

    def find_best(self, best: np.ndarray, second: np.ndarray) -> None:
        """Write the largest and second largest bid for each cell into ``(n,)`` each, 0 for none."""
        top = self.bids.max(axis=0, initial=0)
        best[self.cells] = top
        second[self.cells] = np.where(self.bids == top, 0, self.bids).max(axis=0, initial=0)

    def drop(self, stays: np.ndarray) -> bool:
        """Keep only candidates that stay, ``(K + 1,)`` bool by code; whether there were others."""
        keep = stays[self.code]
        if keep.all():
            return False
        self.bids, self.code = self.bids[keep], self.code[keep]
        return True


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
