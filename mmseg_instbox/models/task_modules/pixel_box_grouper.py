import torch
from mmengine.structures import InstanceData
from mmseg.registry import TASK_UTILS
from torch import Tensor

from . import grouping
from .feature_grid import resize_to_extent


@TASK_UTILS.register_module()
class PixelBoxGrouper:
    """Groups the pixels of a category that agree on their box (paper, section 3.3).

    Every cell votes for its box's centre in bins that scale with the box; local maxima become
    candidates, overlapping ones are merged, every cell goes to the candidate that its own box
    agrees with best, boxes are refined from their cells, and candidates whose cells another one
    explains nearly as well are dropped. Masks take their category borders from the interpolated
    scores.

    Args:
        bin_size: Width of a voting bin, in sizes of the box, or in pixels if not ``relative_bins``.
        relative_bins: Whether bins scale with the box.
        merge_iou: IoU of their boxes above which two candidates are one.
        min_gain: What an instance must add to the agreement of cells and boxes: the sum over its
            cells of their IoU with its box over that with the next best, in sizes of its box.
        num_refine: How often boxes are refined and cells reassigned.
    """

    def __init__(self,
                 bin_size: float = 0.2,
                 relative_bins: bool = True,
                 merge_iou: float = 0.6,
                 min_gain: float = 0.12,
                 num_refine: int = 2) -> None:
        if bin_size <= 0 or not 0 <= merge_iou <= 1 or min_gain < 0 or num_refine < 0:
            raise ValueError(
                'PixelBoxGrouper needs bin_size > 0, merge_iou in [0, 1], min_gain >= 0 and '
                f'num_refine >= 0, got {bin_size}, {merge_iou}, {min_gain}, {num_refine}')
        self.bin_size = bin_size
        self.relative_bins = relative_bins
        self.merge_iou = merge_iou
        self.min_gain = min_gain
        self.num_refine = num_refine

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
        """
        extent = extent or img_shape
        if seg_map is None:
            logits = resize_to_extent(scores.clamp(min=1e-12).log(), extent, img_shape)
            seg_map = logits.argmax(dim=0)
        thing_ids = torch.as_tensor(thing_ids, device=scores.device)
        prob, category = scores.max(dim=0)
        is_thing = torch.isin(category, thing_ids)
        labels, cells = category[is_thing], boxes.permute(1, 2, 0)[is_thing]

        cell_area = extent[0] * extent[1] / category.numel()
        candidates, owner, iou = self._group(cells, labels, img_shape, cell_area)
        score = self._score(prob[is_thing], owner, iou, len(candidates.labels))
        owners = torch.full_like(category, -1)
        owners[is_thing] = owner
        instance = grouping.paint(owners, candidates.labels, seg_map, extent)
        return self._pack(instance, score, candidates.labels, thing_ids)

    def _group(self, boxes: Tensor, labels: Tensor, img_shape: tuple[int, int],
               cell_area: float) -> tuple[grouping.Candidates, Tensor, Tensor]:
        """Candidates that own cells, the owner of each cell, and its IoU with the owner's box."""
        if len(labels) == 0:
            return grouping.Candidates(boxes, labels, boxes[:, 0]), labels, boxes[:, 0]
        keys, cells = grouping.cast_votes(boxes, labels, img_shape, self.bin_size,
                                          self.relative_bins)
        found = grouping.find_maxima(keys, cells, boxes, labels)
        found = grouping.merge(found, self.merge_iou)
        owner, iou = grouping.assign(grouping.agreement(boxes, labels, found))
        for _ in range(self.num_refine):
            found = grouping.refine(boxes, owner, iou, found)
            found = grouping.merge(found, self.merge_iou)
            agreement = grouping.agreement(boxes, labels, found)
            sizes = grouping.box_cells(found.boxes, cell_area, img_shape)
            keep = grouping.prune(agreement, sizes, self.min_gain)
            found = found.select(keep)
            owner, iou = grouping.assign(agreement[:, keep])
        owned = torch.bincount(owner[owner >= 0], minlength=len(found.labels)) > 0
        index = torch.cat([owned.cumsum(0) - 1, owned.new_full((1, ), -1, dtype=torch.long)])
        return found.select(owned), index[owner], iou

    @staticmethod
    def _score(prob: Tensor, owner: Tensor, iou: Tensor, num: int) -> Tensor:
        """Mean category probability of an instance's cells times their mean agreement."""
        return grouping.owned_mean(torch.stack([prob, iou], dim=1), owner, num).prod(dim=1)

    @staticmethod
    def _pack(instance: Tensor, scores: Tensor, categories: Tensor,
              thing_ids: Tensor) -> InstanceData:
        """Instances that have pixels, best score first."""
        boxes = grouping.instance_boxes(instance, len(scores))
        order = scores.sort(descending=True, stable=True).indices
        order = order[boxes[order, 2] > boxes[order, 0]]
        return InstanceData(
            masks=instance.int()[None] == order.int()[:, None, None],
            labels=(categories[order, None] == thing_ids[None]).long().argmax(dim=1),
            scores=scores[order],
            bboxes=boxes[order])
