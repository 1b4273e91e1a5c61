"""Intersection over union of predicted regions and ground-truth objects."""
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmseg_instbox.errors import InvalidInputError

from .pixel_runs import count_values

VOID_ID = 255
TABLE_SIZE = 2**16  # instance ids up to this are looked up in a table, larger ones are searched


class RegionOverlap(NamedTuple):
    """How K regions and G objects of an image overlap, in pixels, all int64.

    ``intersections`` (K, G); ``areas`` (K,) of the regions without their void pixels; ``in_void``
    (K,), their void pixels; ``object_areas`` (G,).
    """
    intersections: np.ndarray
    areas: np.ndarray
    in_void: np.ndarray
    object_areas: np.ndarray

    @property
    def ious(self) -> np.ndarray:
        """IoU of every region with every object, (K, G) float64, void left out."""
        return self.intersections / (self.areas[:, None] + self.object_areas - self.intersections)

    @property
    def kept(self) -> np.ndarray:
        """Regions that void does not swallow, (K,) bool; one empty from the start stays."""
        return (self.areas > 0) | (self.in_void == 0)


def region_overlap(masks: np.ndarray, inst_map: np.ndarray, ids: np.ndarray,
                   lengths: np.ndarray | None = None) -> RegionOverlap:
    """Count the pixels that predicted masks share with the objects of an instance map.

    Args:
        masks (ndarray): Predicted regions, (K, H, W) bool; they may overlap.
        inst_map (ndarray): Object id of each pixel, (H, W) integer, 255 is void.
        ids (ndarray): Ids of the G objects, (G,) integer, each at most once, none of them 255.
        lengths (ndarray, optional): (R,) int64, if ``masks`` (K, R) and ``inst_map`` (R,) are
            those of :func:`find_runs`.

    Returns:
        RegionOverlap: The counts.

    Raises:
        ValueError: If an object has no pixel in ``inst_map``.
    """
    columns = object_columns(inst_map, ids).ravel()
    num_objects = len(ids)
    object_areas = count_values(columns, num_objects + 2, lengths)[:num_objects]
    if (object_areas == 0).any():
        missing = np.asarray(ids)[object_areas == 0].tolist()
        raise InvalidInputError(f'the instance map has no pixel of the objects {missing}; the ids '
                                'given must be those in the map (load both from the same file)')
    counts = np.zeros((len(masks), num_objects + 2), dtype=np.int64)
    for count, mask in zip(counts, masks.reshape(len(masks), columns.size), strict=True):
        inside = None if lengths is None else lengths[mask]
        count[:] = count_values(columns[mask], num_objects + 2, inside)
    in_void = counts[:, num_objects]
    return RegionOverlap(counts[:, :num_objects], counts.sum(1) - in_void, in_void, object_areas)


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
        tuple[Tensor, Tensor]: IoU, (K, G) float64, and whether a prediction is kept, (K,) bool, on
        the device of the masks.

    Raises:
        ValueError: If an object has no pixel in ``inst_map``.
    """
    overlap = region_overlap(*(each.cpu().numpy() for each in (masks, inst_map, ids)))
    return tuple(torch.from_numpy(each).to(masks.device) for each in (overlap.ious, overlap.kept))


def object_columns(inst_map: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Name each pixel by its object's place in a list of ids.

    Args:
        inst_map (ndarray): Object id of each pixel, (H, W) integer, 255 is void.
        ids (ndarray): Ids of the G objects, (G,) integer, each at most once, none of them 255.

    Returns:
        ndarray: Of each pixel the index 0 to G - 1 of its object, G for void and G + 1 for neither,
        (H, W) of the smallest unsigned integer that can hold G + 1. Any other shape will do.
    """
    known = np.append(np.asarray(ids, dtype=np.int64), VOID_ID)
    dtype = np.min_scalar_type(len(known))
    if inst_map.size and (inst_map.min() < 0 or inst_map.max() >= TABLE_SIZE):
        return _search_columns(inst_map, known).astype(dtype)
    table = np.full(TABLE_SIZE, len(known), dtype=dtype)
    in_table = (known >= 0) & (known < TABLE_SIZE)
    table[known[in_table]] = np.flatnonzero(in_table)
    return table.take(inst_map)


def _search_columns(inst_map: np.ndarray, known: np.ndarray) -> np.ndarray:
    order = np.argsort(known)
    place = np.searchsorted(known, inst_map, sorter=order).clip(max=len(known) - 1)
    return np.where(known[order[place]] == inst_map, order[place], len(known))
