import logging
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mmseg_instbox.errors import InvalidInputError

from . import grouping, painting
from .feature_grid import resize_to_extent
from .grouping import Candidates
from .instances import Instances


class Cells(NamedTuple):
    """The n thing cells of an image whose boxes are sound, in the order of the grid's rows.

    ``boxes`` (n, 4) float32 in image pixels; ``labels`` (n,) int64 category; ``prob`` (n,) its
    probability; ``index`` (n,) int64 place on the flattened grid; ``img_shape`` (H, W);
    ``grid_shape`` (h, w); ``extent`` (H', W') image pixels that the grid covers.
    """
    boxes: Tensor
    labels: Tensor
    prob: Tensor
    index: Tensor
    img_shape: tuple[int, int]
    grid_shape: tuple[int, int]
    extent: tuple[float, float]

    @property
    def area(self) -> float:
        """Image pixels that a cell covers."""
        return math.prod(self.extent) / math.prod(self.grid_shape)


class CellGroups(NamedTuple):
    """K instances on the feature grid.

    ``owners`` (h, w) int64 instance of each cell or -1; ``categories`` (K,) int64 index among all
    categories; ``scores`` (K,); ``label_scores`` (K, T) score of each thing category;
    ``num_invalid`` how many cells were left out because their probabilities or their boxes are not
    sound. Every instance owns a cell.
    """
    owners: Tensor
    categories: Tensor
    scores: Tensor
    label_scores: Tensor
    num_invalid: int


SCORE_FACTORS = ('probability', 'agreement', 'coverage', 'size')
_LARGE = 8  # cells at which the size halves the score


class BaseGrouper:
    """What all groupers share: which cells take part, scores, and masks at image resolution.

    A grouper implements :meth:`_group`, which decides on the feature grid which cells belong
    together. Masks take their category borders from the interpolated scores.

    Args:
        score: Factors whose product is the score of an instance, each from 0 to 1. 'probability':
            mean of its cells' category probability. 'agreement': mean IoU of their boxes with the
            instance's box. 'coverage': square root of the share of that box, inside the image, that
            the cells fill. 'size': n / (n + 8) with n cells.
        calibration: ``(a, b)`` of the map ``sigmoid(a * logit(score) + b)``, a > 0, that makes
            scores the share of instances that are right; fitted by
            ``tools/analysis_tools/calibrate.py``. None leaves the product as it is.
        max_mask_bytes: Memory that the masks of an image may take, a byte a pixel and instance; of
            more, instances of lowest score are left out, with a warning. None sets no limit.

    Raises:
        ValueError: If there is no factor or an unknown one, a calibration that does not rise, or a
            limit below 1.
    """
    result_type: Callable[..., Any] = Instances

    def __init__(self,
                 score: Sequence[str] = SCORE_FACTORS,
                 calibration: tuple[float, float] | None = None,
                 max_mask_bytes: int | None = None) -> None:
        if not score or not set(score) <= set(SCORE_FACTORS):
            raise InvalidInputError(f'score of {type(self).__name__} is {score!r}; expected some '
                                    f'of {SCORE_FACTORS}')
        if calibration is not None and not (len(calibration) == 2 and calibration[0] > 0):
            raise InvalidInputError(f'calibration of {type(self).__name__} is {calibration!r}; '
                                    'expected (a, b) with a > 0, or None')
        if max_mask_bytes is not None and not max_mask_bytes >= 1:
            raise InvalidInputError(f'max_mask_bytes of {type(self).__name__} is '
                                    f'{max_mask_bytes!r}; expected a number of bytes, or None for '
                                    'no limit')
        self.score = tuple(score)
        self.calibration = calibration
        self.max_mask_bytes = max_mask_bytes

    @torch.no_grad()
    def __call__(self,
                 scores: Tensor,
                 boxes: Tensor,
                 img_shape: tuple[int, int],
                 thing_ids: Sequence[int] | Tensor,
                 extent: tuple[float, float] | None = None,
                 seg_map: Tensor | None = None) -> Instances:
        """Groups the cells of one image.

        Args:
            scores: ``(C, h, w)`` category probabilities.
            boxes: ``(4, h, w)`` box of each cell, image coordinates.
            img_shape: ``(H, W)``.
            thing_ids: ``(T,)`` indices of the thing categories among the C.
            extent: ``(H', W')`` image pixels that the grid covers, ``img_shape`` by default.
            seg_map: ``(H, W)`` int64 category of each pixel; by default the interpolated scores'
                best.

        Returns:
            Instances: ``masks`` ``(K, H, W)`` bool, ``labels`` ``(K,)`` index into
                ``thing_ids``, ``scores`` ``(K,)``, ``label_scores`` ``(K, T)`` what the score would
                be with each label, and ``bboxes`` ``(K, 4)``, best score first; of the class's
                ``result_type``. The metainfo ``num_invalid`` counts the cells that were
                left out because their probabilities are nan, or that are of a thing and whose box
                is not finite or has no area; ``num_left_out`` the instances beyond
                ``max_mask_bytes``.

        Raises:
            ValueError: If ``scores`` and ``boxes`` lie on different grids or on none, a thing is
                not among the categories, or ``seg_map`` is not of the image's size.
        """
        extent = tuple(img_shape if extent is None else extent)
        groups = self.group_cells(scores, boxes, img_shape, thing_ids, extent)
        if seg_map is None:
            seg_map = category_map(scores, img_shape, extent)
        if tuple(seg_map.shape) != tuple(img_shape):
            raise InvalidInputError(f'{type(self).__name__} got a seg_map of size '
                                    f'{tuple(seg_map.shape)} for an image of size '
                                    f'{tuple(img_shape)} (height, width)')
        found = draw_instances(groups, seg_map, thing_ids, extent, self.max_mask_bytes,
                               self.result_type)
        if found.num_left_out:
            self._warn(f'{found.num_left_out} of {found.num_left_out + len(found)} instances, '
                       f'those of lowest score, are left out: masks of {tuple(img_shape)} pixels '
                       f'would take more than max_mask_bytes={self.max_mask_bytes}')
        return found

    def _warn(self, text: str) -> None:
        """Tell the user something."""
        logging.getLogger('mmseg_instbox').warning(text)

    @torch.inference_mode()
    def group_cells(self, scores: Tensor, boxes: Tensor, img_shape: tuple[int, int],
                    thing_ids: Sequence[int] | Tensor,
                    extent: tuple[float, float]) -> CellGroups:
        """The part of the work that is done on the feature grid; arguments as of the call.

        Returns:
            CellGroups: Tensors of ``torch.inference_mode``.

        Raises:
            ValueError: If ``scores`` and ``boxes`` lie on different grids or on none, or a thing is
                not among the categories.
        """
        if boxes.shape != (4, *scores.shape[1:]) or 0 in scores.shape:
            raise InvalidInputError(f'{type(self).__name__} got scores {tuple(scores.shape)} and '
                                    f'boxes {tuple(boxes.shape)}; expected (C, h, w) and (4, h, w)')
        thing = _mark_things(thing_ids, len(scores), scores.device)
        prob, category = scores.max(dim=0)
        is_nan = prob.isnan()
        is_thing = thing.take(category) | is_nan
        index = (is_thing & has_area(boxes) & ~is_nan).flatten().nonzero()[:, 0]
        cells = Cells(
            boxes.flatten(1).index_select(1, index).float().T, category.take(index),
            prob.take(index).float(), index, tuple(img_shape), tuple(category.shape), extent)
        candidates, owner, iou = self._group(cells) if len(cells.labels) else _no_groups(cells)
        owners = torch.full_like(category, -1)
        owners.view(-1)[index] = owner
        score = self._score(cells, candidates.boxes, owner, iou)
        label_scores = self._label_scores(
            score, scores.flatten(1)[:, index], candidates.labels, owner, thing_ids)
        if self.calibration is not None:
            score, label_scores = (self._calibrate(each) for each in (score, label_scores))
        num_invalid = int(is_thing.sum()) - len(index)
        return CellGroups(owners, candidates.labels, score, label_scores, num_invalid)

    def _group(self, cells: Cells) -> tuple[Candidates, Tensor, Tensor]:
        """Decides which cells belong together.

        Args:
            cells: At least one.

        Returns:
            tuple: K candidates that own a cell each, the owner ``(n,)`` of each cell or -1, and
                the IoU ``(n,)`` of each cell's box with its owner's.
        """
        raise NotImplementedError(f'{type(self).__name__} must implement _group')

    def _score(self, cells: Cells, boxes: Tensor, owner: Tensor, iou: Tensor) -> Tensor:
        """Scores ``(K,)`` of instances with ``boxes`` ``(K, 4)``, from the cells they own."""
        sums = grouping.owned_sums(torch.stack([cells.prob, iou], dim=1), owner, len(boxes))
        probability, agreement, num = sums.float().unbind(1)
        room = grouping.box_cells(boxes, cells.area, cells.img_shape)
        factors = dict(
            probability=probability / num,
            agreement=agreement / num,
            coverage=(num / room).clamp(max=1).sqrt(),
            size=num / (num + _LARGE))
        return torch.stack([factors[name] for name in self.score]).prod(dim=0)


    @staticmethod
    def _label_scores(score: Tensor, probs: Tensor, categories: Tensor, owner: Tensor,
                      thing_ids: Sequence[int] | Tensor) -> Tensor:
        """Scores ``(K, T)`` in proportion to the mean probability of each thing category.

        Args:
            score: ``(K,)`` of the instances.
            probs: ``(C, n)`` category probabilities of the cells.
            categories: ``(K,)`` of the instances.
            owner: ``(n,)`` instance of each cell or -1.
            thing_ids: ``(T,)``.
        """
        mean = grouping.owned_mean(probs.float().T, owner, len(score))
        own = mean.gather(1, categories[:, None])
        things = torch.as_tensor(thing_ids, dtype=torch.long, device=mean.device)
        return (score[:, None] * mean[:, things] / own.clamp(min=1e-9)).clamp(max=1)

    def _calibrate(self, score: Tensor) -> Tensor:
        slope, offset = self.calibration
        return (slope * score.logit(eps=1e-6) + offset).sigmoid()


def _mark_things(thing_ids: Sequence[int] | Tensor, num: int, device: torch.device) -> Tensor:
    """Which of ``num`` categories are things, bool; ValueError unless the indices are theirs."""
    ids = torch.as_tensor(thing_ids, dtype=torch.long, device=device)
    if not len(ids) or ids.min() < 0 or ids.max() >= num:
        raise InvalidInputError(f'thing_ids are {ids.tolist()}; expected indices of the {num} '
                                'categories')
    return torch.zeros(num, dtype=torch.bool, device=device).index_fill_(0, ids, True)


def has_area(boxes: Tensor) -> Tensor:
    """Which boxes ``(4, ...)`` are finite and have positive sides: bool ``(...)``."""
    width, height = (boxes[2:] - boxes[:2]).float()
    return (width > 0) & (height > 0) & (width * height).isfinite()


def category_map(scores: Tensor, img_shape: tuple[int, int], extent: tuple[float, float]) -> Tensor:
    """Category ``(H, W)`` int64 of each pixel: the best of the interpolated log-probabilities."""
    logits = resize_to_extent(scores.float().clamp(min=1e-12).log(), extent, img_shape)
    return logits.argmax(dim=0)


def draw_instances(groups: CellGroups,
                   seg_map: Tensor,
                   thing_ids: Sequence[int] | Tensor,
                   extent: tuple[float, float],
                   max_mask_bytes: int | None = None,
                   result_type: Callable[..., Any] = Instances) -> Instances:
    """Masks of the instances that have pixels, best score first.

    Args:
        groups: K instances on the feature grid.
        seg_map: ``(H, W)`` int64 category of each pixel.
        thing_ids: ``(T,)`` indices of the thing categories.
        extent: ``(H', W')`` image pixels that the grid covers.
        max_mask_bytes: As of :class:`BaseGrouper`.
        result_type: Class of the result, which takes ``metainfo`` and fields by name.

    Returns:
        Instances: As of :meth:`BaseGrouper.__call__`.
    """
    num = len(groups.scores)
    order = groups.scores.sort(descending=True, stable=True).indices
    rank = torch.cat([order.argsort(), order.new_tensor([-1])])
    categories = groups.categories[order]
    instance = painting.paint(rank[groups.owners], categories, seg_map, extent)
    seen = painting.which_occur(instance, num)
    kept = seen if max_mask_bytes is None else seen[:max_mask_bytes // instance.numel()]
    masks = painting.masks_of(instance, kept, num)
    order, categories = order[kept], categories[kept]
    thing_ids = torch.as_tensor(thing_ids, device=order.device)
    return result_type(
        metainfo=dict(num_invalid=groups.num_invalid, num_left_out=len(seen) - len(kept)),
        masks=masks,
        labels=(categories[:, None] == thing_ids[None]).long().argmax(dim=1),
        scores=groups.scores[order],
        label_scores=groups.label_scores[order],
        bboxes=painting.mask_boxes(masks))


def _no_groups(cells: Cells) -> tuple[Candidates, Tensor, Tensor]:
    return Candidates(cells.boxes, cells.labels, cells.prob), cells.labels, cells.prob
