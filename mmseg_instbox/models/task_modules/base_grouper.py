from typing import NamedTuple

import torch
from mmengine.structures import InstanceData
from torch import Tensor

from . import grouping
from .feature_grid import resize_to_extent
from .grouping import Candidates


class Cells(NamedTuple):
    """The n thing cells of an image whose boxes are sound, in the order of the grid's rows.

    ``boxes`` (n, 4) float32 in image pixels; ``labels`` (n,) int64 category; ``prob`` (n,) its
    probability; ``img_shape`` (H, W); ``grid_shape`` (h, w); ``extent`` (H', W') image pixels that
    the grid covers.
    """
    boxes: Tensor
    labels: Tensor
    prob: Tensor
    img_shape: tuple[int, int]
    grid_shape: tuple[int, int]
    extent: tuple[float, float]


class CellGroups(NamedTuple):
    """K instances on the feature grid.

    ``owners`` (h, w) int64 instance of each cell or -1; ``categories`` (K,) int64 index among all
    categories; ``scores`` (K,); ``num_invalid`` how many thing cells were left out because their
    box is not finite or has no area. Every instance owns a cell.
    """
    owners: Tensor
    categories: Tensor
    scores: Tensor
    num_invalid: int


class BaseGrouper:
    """What all groupers share: which cells take part, scores, and masks at image resolution.

    A grouper implements :meth:`_group`, which decides on the feature grid which cells belong
    together. Masks take their category borders from the interpolated scores.
    """

    @torch.no_grad()
    def __call__(self,
                 scores: Tensor,
                 boxes: Tensor,
                 img_shape: tuple[int, int],
                 thing_ids: Tensor,
                 extent: tuple[float, float] | None = None,
                 seg_map: Tensor | None = None) -> InstanceData:
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
            InstanceData: ``masks`` ``(K, H, W)`` bool, ``labels`` ``(K,)`` index into
                ``thing_ids``, ``scores`` ``(K,)`` and ``bboxes`` ``(K, 4)``, best score first.
                The metainfo ``num_invalid`` counts the thing cells that were left out because their
                box is not finite or has no area.

        Raises:
            ValueError: If ``scores`` and ``boxes`` lie on different grids.
        """
        extent = extent or img_shape
        groups = self.group_cells(scores, boxes, img_shape, thing_ids, extent)
        if seg_map is None:
            seg_map = category_map(scores, img_shape, extent)
        return draw_instances(groups, seg_map, thing_ids, extent)

    @torch.no_grad()
    def group_cells(self, scores: Tensor, boxes: Tensor, img_shape: tuple[int, int],
                    thing_ids: Tensor, extent: tuple[float, float]) -> CellGroups:
        """The part of the work that is done on the feature grid; arguments as of the call.

        Raises:
            ValueError: If ``scores`` and ``boxes`` lie on different grids.
        """
        if boxes.shape != (4, *scores.shape[1:]):
            raise ValueError(f'{type(self).__name__} got scores {tuple(scores.shape)} and boxes '
                             f'{tuple(boxes.shape)}; expected (C, h, w) and (4, h, w)')
        prob, category = scores.max(dim=0)
        is_thing = torch.isin(category, torch.as_tensor(thing_ids, device=scores.device))
        sound = is_thing & has_area(boxes)
        cells = Cells(
            boxes.permute(1, 2, 0)[sound].float(), category[sound], prob[sound].float(),
            tuple(img_shape), tuple(category.shape), extent)
        candidates, owner, iou = self._group(cells) if len(cells.labels) else _no_groups(cells)
        owners = torch.full_like(category, -1)
        owners[sound] = owner
        score = self._score(cells.prob, owner, iou, len(candidates.labels))
        num_invalid = int((is_thing & ~sound).sum())
        return CellGroups(owners, candidates.labels, score, num_invalid)

    def _group(self, cells: Cells) -> tuple[Candidates, Tensor, Tensor]:
        """Decides which cells belong together.

        Args:
            cells: At least one.

        Returns:
            tuple: K candidates that own a cell each, the owner ``(n,)`` of each cell or -1, and
                the IoU ``(n,)`` of each cell's box with its owner's.
        """
        raise NotImplementedError(f'{type(self).__name__} must implement _group')

    @staticmethod
    def _score(prob: Tensor, owner: Tensor, iou: Tensor, num: int) -> Tensor:
        """Mean category probability of an instance's cells times their mean agreement."""
        return grouping.owned_mean(torch.stack([prob, iou], dim=1), owner, num).prod(dim=1)


def has_area(boxes: Tensor) -> Tensor:
    """Which boxes ``(4, ...)`` are finite and have positive sides: bool ``(...)``."""
    width, height = (boxes[2:] - boxes[:2]).float()
    return (width > 0) & (height > 0) & (width * height).isfinite()


def category_map(scores: Tensor, img_shape: tuple[int, int], extent: tuple[float, float]) -> Tensor:
    """Category ``(H, W)`` int64 of each pixel: the best of the interpolated log-probabilities."""
    logits = resize_to_extent(scores.clamp(min=1e-12).log(), extent, img_shape)
    return logits.argmax(dim=0)


def draw_instances(groups: CellGroups, seg_map: Tensor, thing_ids: Tensor,
                   extent: tuple[float, float]) -> InstanceData:
    """Masks of the instances that have pixels, best score first.

    Args:
        groups: K instances on the feature grid.
        seg_map: ``(H, W)`` int64 category of each pixel.
        thing_ids: ``(T,)`` indices of the thing categories.
        extent: ``(H', W')`` image pixels that the grid covers.

    Returns:
        InstanceData: As of :meth:`BaseGrouper.__call__`.
    """
    instance = grouping.paint(groups.owners, groups.categories, seg_map, extent)
    boxes = grouping.instance_boxes(instance, len(groups.scores))
    order = groups.scores.sort(descending=True, stable=True).indices
    order = order[boxes[order, 2] > boxes[order, 0]]
    thing_ids = torch.as_tensor(thing_ids, device=order.device)
    return InstanceData(
        metainfo=dict(num_invalid=groups.num_invalid),
        masks=instance.int()[None] == order.int()[:, None, None],
        labels=(groups.categories[order, None] == thing_ids[None]).long().argmax(dim=1),
        scores=groups.scores[order],
        bboxes=boxes[order])


def _no_groups(cells: Cells) -> tuple[Candidates, Tensor, Tensor]:
    return Candidates(cells.boxes, cells.labels, cells.prob), cells.labels, cells.prob
