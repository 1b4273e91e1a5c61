"""Intersection over union of predicted regions and ground-truth objects."""

import torch
from torch import Tensor

VOID_ID = 255


def region_iou(masks: Tensor, inst_map: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """IoU of every predicted mask with every object of an instance map.

    Void pixels are removed from the predictions first. A prediction that had pixels only in the
    void is emptied by that: it is marked as not kept and should be dropped. A prediction without
    any pixel from the start stays: it is a detection, and matches nothing.

    Args:
        masks (Tensor): Predicted regions, (K, H, W) bool; they may overlap.
        inst_map (Tensor): Object id of each pixel, (H, W) integer, 255 is void.
        ids (Tensor): Ids of the G objects, (G,) integer, each at most once, none of them 255.

    Returns:
        tuple[Tensor, Tensor]: IoU, (K, G) float64, and whether a prediction is kept, (K,) bool.

    Raises:
        ValueError: If an object has no pixel in ``inst_map``.
    """
    num_objects = len(ids)
    columns = _object_columns(inst_map, ids).flatten()
    object_areas = columns.bincount(minlength=num_objects + 2)[:num_objects]
    if (object_areas == 0).any():
        missing = ids[object_areas == 0].tolist()
        raise ValueError(f'the instance map has no pixel of the objects {missing}; the ids given '
                         'must be those in the map (load both from the same file)')
    counts = torch.zeros((len(masks), num_objects + 2), dtype=torch.int64, device=masks.device)
    for count, mask in zip(counts, masks.flatten(1), strict=True):
        count += columns[mask].bincount(minlength=num_objects + 2)
    in_void = counts[:, num_objects]
    areas = counts.sum(1) - in_void
    intersections = counts[:, :num_objects]
    unions = areas[:, None] + object_areas - intersections
    return intersections.double() / unions, (areas > 0) | (in_void == 0)


def _object_columns(inst_map: Tensor, ids: Tensor) -> Tensor:
    """Column of each pixel, (H, W) int64: its object's place in ids, then void, then none."""
    known = torch.cat([ids.to(inst_map), inst_map.new_tensor([VOID_ID])])
    ordered, order = known.sort()
    place = torch.searchsorted(ordered, inst_map.contiguous()).clamp(max=len(known) - 1)
    return torch.where(ordered[place] == inst_map, order[place], len(known))
