"""IoU and generalised IoU of boxes ``(..., 4)``: x1, y1, x2, y2."""
import torch
from torch import Tensor


def box_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """IoU ``(...)``, in [0, 1], of boxes with the boxes at the same index after broadcasting:
    ``boxes[:, None]`` against ``others[None]`` gives all pairs. A box without area has an IoU of 0.
    """
    inter, union = _inter_and_union(boxes, others)
    return inter / union.clamp(min=1e-9)


def box_giou(boxes: Tensor, others: Tensor) -> Tensor:
    """Generalised IoU ``(...)`` (arXiv 1902.09630), in (-1, 1], of boxes with the boxes at the same
    index, which have an area.

    IoU less the share of the smallest enclosing box that neither covers, which has a gradient also
    where the boxes do not meet.
    """
    inter, union = _inter_and_union(boxes, others)
    low = torch.minimum(boxes[..., :2], others[..., :2])
    high = torch.maximum(boxes[..., 2:], others[..., 2:])
    hull = (high - low).prod(dim=-1).clamp(min=1e-9)
    return inter / union.clamp(min=1e-9) - (hull - union) / hull


def _inter_and_union(boxes: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Areas, (...) each, of what both boxes cover and of what either covers."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    u1, v1, u2, v2 = others.unbind(-1)
    width = (torch.minimum(x2, u2) - torch.maximum(x1, u1)).clamp(min=0)
    height = (torch.minimum(y2, v2) - torch.maximum(y1, v1)).clamp(min=0)
    inter = width * height
    area = (x2 - x1).clamp(min=0) * (y2 - y1).clamp(min=0)
    other = (u2 - u1).clamp(min=0) * (v2 - v1).clamp(min=0)
    return inter, area + other - inter
