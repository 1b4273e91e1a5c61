"""Perfect boxes, to see what the predicted categories alone are worth."""
import torch
from torch import Tensor

from .true_categories import sample_map


def true_boxes(inst_map: Tensor, ids: Tensor, bboxes: Tensor, grid_shape: tuple[int, int],
               extent: tuple[float, float]) -> Tensor:
    """The box of the object at the centre of each feature cell.

    Args:
        inst_map (Tensor): Id of the object of each pixel, (H, W) int.
        ids (Tensor): Ids of the N objects, (N,) int.
        bboxes (Tensor): Their boxes, (N, 4) float.
        grid_shape (tuple[int, int]): Rows and columns (h, w) of the feature grid.
        extent (tuple[float, float]): Height and width, in pixels of ``inst_map``, of the area that
            the grid covers.

    Returns:
        Tensor: Boxes, (4, h, w) float32; nan where none of the objects is.
    """
    cell_ids = sample_map(inst_map.long(), grid_shape, extent)
    boxes = torch.full((*grid_shape, 4), torch.nan, device=inst_map.device)
    ids, order = ids.long().sort()
    is_object = torch.isin(cell_ids, ids)
    boxes[is_object] = bboxes.float()[order[torch.searchsorted(ids, cell_ids[is_object])]]
    return boxes.permute(2, 0, 1)
