import torch
from torch import Tensor


def box_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """IoU of boxes with the boxes at the same index, after broadcasting.

    Args:
        boxes: ``(..., 4)`` x1, y1, x2, y2; ``boxes[:, None]`` against ``others[None]`` gives all
            pairs.
        others: ``(..., 4)``.

    Returns:
        Tensor: ``(...)`` in [0, 1]; 0 for a box without area.
    """
    x1, y1, x2, y2 = boxes.unbind(-1)
    u1, v1, u2, v2 = others.unbind(-1)
    width = (torch.minimum(x2, u2) - torch.maximum(x1, u1)).clamp(min=0)
    height = (torch.minimum(y2, v2) - torch.maximum(y1, v1)).clamp(min=0)
    inter = width * height
    area = (x2 - x1).clamp(min=0) * (y2 - y1).clamp(min=0)
    other = (u2 - u1).clamp(min=0) * (v2 - v1).clamp(min=0)
    return inter / (area + other - inter).clamp(min=1e-9)
