from torch import Tensor

from ..errors import InvalidInputError
from . import grouping
from .assignment import Patches, assign, find_agreement, find_patches
from .base_grouper import BaseGrouper, Cells, logger
from .grouping import Candidates


class PixelBoxGrouper(BaseGrouper):
    """Groups the pixels of a category that agree on their box (paper, section 3.3).

    The box of every cell is averaged with those around it that agree with it. Every cell votes for
    its box's centre in bins that scale with the box; local maxima become candidates, overlapping
    ones are merged, and every cell goes to the candidate that its own box agrees with best, where
    candidates whose cells another one explains nearly as well are dropped. Then boxes are refined
    from their cells and the cells assigned again.

    Args:
        num_smooth: How often the boxes of the cells are averaged with their neighbours'.
        bin_size: Width of a voting bin, in sizes of the box, or in pixels if not ``relative_bins``.
        relative_bins: Whether bins scale with the box.
        min_votes: Votes, smoothed over the bins around, that a candidate needs, in sizes of its
            box; saves the work on candidates that would be dropped anyway.
        merge_iou: IoU of their boxes above which two candidates are one.
        min_gain: What an instance must add to the agreement of cells and boxes: the sum over its
            cells of their IoU with its box over that with the next best, in sizes of its box.
        coverage: Share of its box that an object is expected to fill. One that fills less is not
            measured by its box but by the cells that agree on it, so that thin objects stay.
        num_refine: How often boxes are refined and cells assigned again.
        max_candidates: How many candidates are kept after merging, those with most votes, with a
            warning at the first image that has more; bounds time and memory where boxes do not
            agree, as in a network that has just been set up.
        **kwargs: See :class:`BaseGrouper`.

    Raises:
        ValueError: If a number is out of its range.
    """

    def __init__(self,
                 num_smooth: int = 1,
                 bin_size: float = 0.2,
                 relative_bins: bool = True,
                 min_votes: float = 0.01,
                 merge_iou: float = 0.6,
                 min_gain: float = 0.15,
                 coverage: float = 0.3,
                 num_refine: int = 1,
                 max_candidates: int = 1000,
                 **kwargs) -> None:
        super().__init__(**kwargs)
        given = dict(num_smooth=num_smooth, bin_size=bin_size, min_votes=min_votes,
                     merge_iou=merge_iou, min_gain=min_gain, coverage=coverage,
                     num_refine=num_refine, max_candidates=max_candidates)
        for name in ('num_smooth', 'num_refine', 'max_candidates'):
            if not isinstance(given[name], int):
                raise InvalidInputError(f'{name} of PixelBoxGrouper is a whole number, got '
                                        f'{given[name]!r}')
        if (not bin_size > 0 or not 0 <= merge_iou <= 1 or not 0 < coverage <= 1
                or max_candidates < 1 or not min(num_smooth, min_votes, min_gain, num_refine) >= 0):
            raise InvalidInputError('PixelBoxGrouper needs bin_size > 0, merge_iou in [0, 1], '
                                    'coverage in (0, 1], max_candidates >= 1 and num_smooth, '
                                    f'min_votes, num_refine and min_gain >= 0, got {given}')
        self.num_smooth = num_smooth
        self.bin_size = bin_size
        self.relative_bins = relative_bins
        self.min_votes = min_votes
        self.merge_iou = merge_iou
        self.min_gain = min_gain
        self.coverage = coverage
        self.num_refine = num_refine
        self.max_candidates = max_candidates
        self._warned = False

    def vote(self, cells: Cells) -> tuple[Tensor, Candidates]:
        """The first part of grouping, before candidates are merged: the boxes ``(n, 4)`` of the
        cells, at least one, averaged with those around them, and the local maxima of their votes
        that have ``min_votes``, most votes first."""
        boxes, labels = cells.boxes, cells.labels
        around = grouping.neighbours(cells.index, cells.grid_shape)
        for _ in range(self.num_smooth):
            boxes = grouping.smooth_boxes(boxes, labels, around)
        votes = grouping.cast_votes(boxes, labels, cells.img_shape, self.bin_size,
                                    self.relative_bins)
        found = grouping.find_maxima(votes, boxes)
        enough = self.min_votes * grouping.box_cells(found.boxes, cells.area, cells.img_shape)
        found = found.select((found.votes >= enough).nonzero()[:, 0])
        return boxes, grouping.most_voted(found, cells.img_shape, 4 * self.max_candidates)

    def _group(self, cells: Cells) -> tuple[Candidates, Tensor, Tensor]:
        boxes, found = self.vote(cells)
        found = grouping.merge(found, self.merge_iou)
        excess = len(found.labels) - self.max_candidates
        if excess > 0 and not self._warned:
            self._warned = True
            logger.warning(
                f'An image has {excess} candidate instances more than max_candidates='
                f'{self.max_candidates}; those with fewest votes are left out. Raise '
                'max_candidates of PixelBoxGrouper if images hold that many objects. (Said once.)')
        found = Candidates(*(each[:self.max_candidates] for each in found))
        patches = find_patches(boxes, cells.labels, cells.index, cells.grid_shape)
        found, owner, iou = self._assign(found, boxes, cells, patches)
        for _ in range(self.num_refine):
            found = grouping.refine(boxes, owner, iou, found)
            found, owner, iou = self._assign(found, boxes, cells, patches)
        return found, owner, iou

    def _assign(self, found: Candidates, boxes: Tensor, cells: Cells,
                patches: Patches) -> tuple[Candidates, Tensor, Tensor]:
        """The candidates worth keeping, the owner of each cell and the IoU with it."""
        agreement = find_agreement(boxes, found, patches)
        sizes = grouping.box_cells(found.boxes, cells.area, cells.img_shape)
        keep, owner, iou = assign(agreement, len(boxes), sizes, self.min_gain, self.coverage)
        return found.select(keep), owner, iou
