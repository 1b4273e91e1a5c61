import logging
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import InvalidInputError
from .grouping import Candidates, box_cells, owned_mean, owned_sums
from .instances import CellGroups, Instances, draw_instances
from .painting import best_categories

SCORE_FACTORS = ('probability', 'agreement', 'coverage', 'size')
_LARGE = 8  # cells at which the size halves the score
logger = logging.getLogger(__name__)


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

    def on_grid(self, values: Tensor) -> Tensor:
        """Values ``(n,)`` int64 of the cells, from 0 on, at their places ``(h, w)``; -1 between."""
        grid = self.index.new_full(self.grid_shape, -1)
        grid.view(-1)[self.index] = values
        return grid


class BaseGrouper:
    """What all groupers share: which cells take part, scores, and masks at image resolution.

    A grouper implements :meth:`_group`, which decides on the feature grid which cells belong
    together. Masks take their category borders from the interpolated probabilities.

    Args:
        score: Factors whose product is the score of an instance, each from 0 to 1. 'probability':
            mean of its cells' category probability. 'agreement': mean IoU of their boxes with the
            instance's box. 'coverage': square root of the share of that box, inside the image, that
            the cells fill. 'size': n / (n + 8) with n cells.
        calibration: ``(a, b)`` of the map ``sigmoid(a * logit(score) + b)``, a > 0, that makes
            scores the share of instances that are right; fitted by
            ``tools/analysis_tools/calibrate.py``. None leaves the product as it is.
        max_mask_bytes: Memory that the masks of an image may take when they are read as a tensor, a
            byte a pixel and instance; of more, instances of lowest score are left out, with a
            warning. None sets no limit.

    Raises:
        ValueError: If there is no factor or an unknown one, a calibration that does not rise, or a
            limit below 1.
    """

    def __init__(self,
                 score: Sequence[str] = SCORE_FACTORS,
                 calibration: tuple[float, float] | None = None,
                 max_mask_bytes: int | None = None) -> None:
        name = type(self).__name__
        if not score or not set(score) <= set(SCORE_FACTORS):
            raise InvalidInputError(
                f'score of {name} is {score!r}; expected some of {SCORE_FACTORS}')
        if calibration is not None and not (len(calibration) == 2 and calibration[0] > 0):
            raise InvalidInputError(f'calibration of {name} is {calibration!r}; expected (a, b) '
                                    'with a > 0, or None')
        if max_mask_bytes is not None and not max_mask_bytes >= 1:
            raise InvalidInputError(f'max_mask_bytes of {name} is {max_mask_bytes!r}; expected a '
                                    'number of bytes, or None for no limit')
        self.score = tuple(score)
        self.calibration = calibration
        self.max_mask_bytes = max_mask_bytes

    @torch.no_grad()
    def __call__(self,
                 probs: Tensor,
                 boxes: Tensor,
                 img_shape: tuple[int, int],
                 thing_ids: Sequence[int] | Tensor,
                 extent: tuple[float, float] | None = None,
                 seg_map: Tensor | None = None) -> Instances:
        """Groups the cells of one image.

        Args:
            probs: ``(C, h, w)`` category probabilities.
            boxes: ``(4, h, w)`` box of each cell, image coordinates.
            img_shape: ``(H, W)``.
            thing_ids: ``(T,)`` indices of the thing categories among the C.
            extent: ``(H', W')`` image pixels that the grid covers, ``img_shape`` by default.
            seg_map: ``(H, W)`` int64 category of each pixel; by default that of
                :func:`category_map`.

        Returns:
            Instances: ``masks`` ``(K, H, W)`` bool (:class:`.InstanceMasks`), ``labels`` ``(K,)``
                index into ``thing_ids``, ``scores`` ``(K,)``, ``label_scores`` ``(K, T)`` what the
                score would be with each label, and ``bboxes`` ``(K, 4)``, best score first. The
                metainfo ``num_invalid`` counts the cells left out because their probabilities are
                nan, or because they are of a thing and their box is not finite or has no area;
                ``num_left_out`` the instances beyond ``max_mask_bytes``.

        Raises:
            ValueError: If ``probs`` and ``boxes`` lie on different grids or on none, a thing is not
                among the categories, or ``seg_map`` is not of the image's size.
        """
        extent = tuple(img_shape if extent is None else extent)
        with torch.autocast(probs.device.type, enabled=False):  # that is for the network
            groups = self.group_cells(probs, boxes, img_shape, thing_ids, extent)
        if seg_map is None:
            seg_map = category_map(probs, img_shape, extent)
        if tuple(seg_map.shape) != tuple(img_shape):
            raise InvalidInputError(f'{type(self).__name__} got a seg_map of size '
                                    f'{tuple(seg_map.shape)} for an image of size '
                                    f'{tuple(img_shape)} (height, width)')
        found = draw_instances(groups, seg_map, thing_ids, extent, self.max_mask_bytes)
        if found.num_left_out:
            logger.warning(
                f'{found.num_left_out} of {found.num_left_out + len(found)} instances, those of '
                f'lowest score, are left out: masks of {tuple(img_shape)} pixels would take more '
                f'than max_mask_bytes={self.max_mask_bytes}')
        return found

    @torch.inference_mode()
    def group_cells(self, probs: Tensor, boxes: Tensor, img_shape: tuple[int, int],
                    thing_ids: Sequence[int] | Tensor,
                    extent: tuple[float, float]) -> CellGroups:
        """Groups the cells on the feature grid, the part of a call before masks are drawn; same
        arguments and errors. Results are tensors of ``torch.inference_mode``."""
        cells, num_invalid = find_cells(probs, boxes, img_shape, thing_ids, extent)
        if len(cells.index):
            candidates, owner, iou = self._group(cells)
        else:
            candidates, owner, iou = Candidates(*cells[:3]), cells.labels, cells.prob
        score = self._score(cells, candidates.boxes, owner, iou)
        # in proportion to the mean probability of each thing category
        cell_probs = probs.flatten(1).index_select(1, cells.index).float().T
        mean = owned_mean(cell_probs, owner, len(score))
        own = mean.gather(1, candidates.labels[:, None]).clamp(min=1e-9)
        label_scores = (score[:, None] * mean[:, torch.as_tensor(thing_ids)] / own).clamp(max=1)
        if self.calibration is not None:
            slope, offset = self.calibration
            score, label_scores = ((slope * each.logit(eps=1e-6) + offset).sigmoid()
                                   for each in (score, label_scores))
        return CellGroups(
            cells.on_grid(owner), candidates.labels, score, label_scores, num_invalid)

    def _group(self, cells: Cells) -> tuple[Candidates, Tensor, Tensor]:
        """Decides which of the cells, at least one, belong together: K candidates that own a cell
        each, the owner ``(n,)`` of each cell or -1, and the IoU ``(n,)`` of their boxes."""
        raise NotImplementedError(f'{type(self).__name__} must implement _group')

    def _score(self, cells: Cells, boxes: Tensor, owner: Tensor, iou: Tensor) -> Tensor:
        """Scores ``(K,)`` of instances with ``boxes`` ``(K, 4)``, from the cells they own."""
        sums = owned_sums(torch.stack([cells.prob, iou], dim=1), owner, len(boxes))
        probability, agreement, num = sums.float().unbind(1)
        room = box_cells(boxes, cells.area, cells.img_shape)
        factors = dict(probability=probability / num, agreement=agreement / num,
                       coverage=(num / room).clamp(max=1).sqrt(), size=num / (num + _LARGE))
        return torch.stack([factors[name] for name in self.score]).prod(dim=0)


def find_cells(probs: Tensor, boxes: Tensor, img_shape: tuple[int, int],
               thing_ids: Sequence[int] | Tensor,
               extent: tuple[float, float]) -> tuple[Cells, int]:
    """The thing cells of an image that take part, and how many of them do not because their
    probabilities are nan, or their box is not finite or has no area; arguments and errors as of a
    call of :class:`BaseGrouper`."""
    if boxes.shape != (4, *probs.shape[1:]) or 0 in probs.shape:
        raise InvalidInputError(f'Got probabilities {tuple(probs.shape)} and boxes '
                                f'{tuple(boxes.shape)}; expected (C, h, w) and (4, h, w), as '
                                'pred_probs and pred_boxes of one sample are')
    ids = torch.as_tensor(thing_ids, dtype=torch.long, device=probs.device)
    if not len(ids) or ids.min() < 0 or ids.max() >= len(probs):
        raise InvalidInputError(f'thing_ids are {ids.tolist()}; expected indices of the '
                                f'{len(probs)} categories')
    thing = ids.new_zeros(len(probs)).bool().index_fill_(0, ids, True)
    prob, category = probs.max(dim=0)
    width, height = (boxes[2:] - boxes[:2]).float()
    has_area = (width > 0) & (height > 0) & (width * height).isfinite()
    is_nan = prob.isnan()
    is_thing = thing.take(category) | is_nan
    index = (is_thing & has_area & ~is_nan).flatten().nonzero()[:, 0]
    cells = Cells(
        boxes.flatten(1).index_select(1, index).float().T, category.take(index),
        prob.take(index).float(), index, tuple(img_shape), tuple(category.shape), tuple(extent))
    return cells, int(is_thing.sum()) - len(index)


def category_map(probs: Tensor, img_shape: tuple[int, int], extent: tuple[float, float]) -> Tensor:
    """Category ``(H, W)`` int64 of each pixel: the best of the interpolated log-probabilities."""
    return best_categories(probs.float().clamp(min=1e-12).log(), extent, img_shape)
