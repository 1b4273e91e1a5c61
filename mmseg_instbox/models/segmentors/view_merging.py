"""One prediction from those of several views of an image."""
import torch
import torch.nn.functional as F
from torch import Tensor

from mmseg_instbox.core.dense_prediction import DensePrediction
from mmseg_instbox.core.feature_grid import cell_points, resize_to_extent

BOX_MERGES = ('mean', 'weighted', 'median', 'first')


def sample_grid(grid: Tensor, extent: tuple[float, float], new_shape: tuple[int, int],
                new_extent: tuple[float, float], mode: str) -> Tensor:
    """Values of a feature grid at the cells of another one.

    Args:
        grid: ``(C, h, w)`` float.
        extent: ``(H, W)`` pixels that it covers from the image's corner.
        new_shape: ``(h', w')`` of the other grid.
        new_extent: ``(H', W')`` pixels that the other covers from the same corner.
        mode: ``'bilinear'`` or ``'nearest'``; beyond the grid its border counts.

    Returns:
        Tensor: ``(C, h', w')``; ``grid`` itself where the two are the same.
    """
    if tuple(grid.shape[-2:]) == tuple(new_shape) and tuple(extent) == tuple(new_extent):
        return grid
    points = cell_points(new_shape, new_extent, grid.device)
    places = points / points.new_tensor(extent[::-1]) * 2 - 1
    return F.grid_sample(grid[None], places[None].to(grid.dtype), mode=mode,
                         padding_mode='border', align_corners=False)[0]


def merge_boxes(boxes: Tensor, scores: Tensor, rule: str) -> Tensor:
    """One box a cell from those of V views.

    Args:
        boxes: ``(V, 4, h, w)``.
        scores: ``(V, C, h, w)`` category probabilities of the same cells.
        rule: ``'mean'``; ``'weighted'``: mean weighted by the probability that the view gives the
            category that is best in all views together; ``'median'`` of each coordinate;
            ``'first'``: that of the first view.

    Returns:
        Tensor: ``(4, h, w)``.
    """
    if rule == 'first':
        return boxes[0]
    if rule == 'median':
        return boxes.quantile(0.5, dim=0)
    if rule == 'mean':
        return boxes.mean(dim=0)
    best = scores.sum(dim=0).argmax(dim=0)
    weights = scores.gather(1, best.expand(len(scores), 1, *best.shape))
    return (boxes * weights).sum(dim=0) / weights.sum(dim=0).clamp(min=1e-12)


def merge_views(views: list[DensePrediction], box_merge: str) -> tuple[Tensor, DensePrediction]:
    """Merges what was predicted for several views of one image.

    Category probabilities are averaged: at image resolution for the category map, as mmseg does,
    and on the finest of the views' grids for the grouping. To it boxes come by the nearest cell;
    interpolation would blend them across borders of objects.

    Args:
        views: At least one, all of the same image.
        box_merge: A rule of :func:`merge_boxes`; of views on the finest grid, the first is the
            first.

    Returns:
        tuple: ``(C, H, W)`` logarithms of category probabilities, and the merged prediction.
    """
    prob = sum(resize_to_extent(view.logits, view.logits_extent, view.ori_shape).softmax(dim=0)
               for view in views) / len(views)
    first = max(views, key=lambda view: view.boxes[0].numel())  # the first of equals
    views = [first, *(view for view in views if view is not first)]
    target = (tuple(first.boxes.shape[-2:]), first.extent)
    scores = torch.stack([sample_grid(v.scores, v.extent, *target, 'bilinear') for v in views])
    boxes = torch.stack([sample_grid(v.boxes, v.extent, *target, 'nearest') for v in views])
    merged = first._replace(scores=scores.mean(dim=0), boxes=merge_boxes(boxes, scores, box_merge))
    return prob.clamp(min=1e-12).log(), merged
