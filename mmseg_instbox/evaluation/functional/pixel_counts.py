"""Counts pixels that masks, instance maps and category maps share, over runs of equal pixels."""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...core import VOID


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
        """Regions that do not lie in void only, (K,) bool; a region without any pixel is kept."""
        return (self.areas > 0) | (self.in_void == 0)

    def select(self, regions: np.ndarray) -> 'RegionOverlap':
        """The overlap of some regions: an index into the K."""
        return RegionOverlap(self.intersections[regions], self.areas[regions],
                             self.in_void[regions], self.object_areas)


def find_runs(masks: np.ndarray,
              maps: Sequence[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    """Read an image row by row and cut it wherever a mask or a map changes, into R runs.

    Counting over runs is many times faster than over pixels, above all with maps of small types.
    Takes masks (K, H, W) bool, K >= 0, and one or more maps (H, W). Returns the masks (K, R) and
    the maps (R,) of the runs, and their lengths in pixels, (R,) int64.
    """
    size = maps[0].size
    masks, maps = masks.reshape(len(masks), size), [each.ravel() for each in maps]
    changes = np.zeros(size - 1, dtype=bool)
    differs = np.empty_like(changes)
    for values in (*masks, *maps):
        np.not_equal(values[1:], values[:-1], out=differs)
        changes |= differs
    ends = np.append(np.flatnonzero(changes), size - 1)
    return (masks.take(ends, axis=1), [each.take(ends) for each in maps],
            np.diff(ends, prepend=-1))


def count_values(values: np.ndarray, size: int, lengths: np.ndarray | None = None) -> np.ndarray:
    """Count the pixels that have each of the values 0 to ``size`` - 1: (size,) int64.

    ``values`` are of pixels or, with their ``lengths``, of runs; integer of any shape.
    """
    weights = None if lengths is None else lengths.ravel()
    return np.bincount(values.ravel(), weights, minlength=size).astype(np.int64)


def category_areas(predicted: np.ndarray, truth: np.ndarray, num_classes: int,
                   lengths: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Count intersection and union of each of C categories, (C,) int64 each.

    The figures are those of mmseg's ``IoUMetric``, of pixels or, with their ``lengths``, of runs.
    Both maps are integer and of one shape; 255 in ``truth`` is void and left out.
    """
    counted = truth != VOID
    truth, predicted = truth[counted], predicted[counted]
    lengths = np.ones(truth.shape, np.int64) if lengths is None else lengths[counted]
    right = truth == predicted
    shared = count_values(truth[right], num_classes, lengths[right])
    either = (count_values(each, num_classes, lengths) for each in (predicted, truth))
    return shared, sum(either) - shared


def region_overlap(masks: np.ndarray, inst_map: np.ndarray, ids: np.ndarray,
                   lengths: np.ndarray | None = None) -> RegionOverlap:
    """Count the pixels that predicted masks share with the objects of an instance map.

    Regions, ``masks`` (K, H, W) bool, may overlap; ``inst_map`` (H, W) holds the object id of each
    pixel, 255 is void; ``ids`` (G,) are those of the objects in the map, each once, without 255.
    With the ``lengths`` of runs, masks are (K, R) and the map (R,).
    """
    columns = object_columns(inst_map, ids).ravel()
    num_objects = len(ids)
    object_areas = count_values(columns, num_objects + 2, lengths)[:num_objects]
    counts = np.zeros((len(masks), num_objects + 2), dtype=np.int64)
    for count, mask in zip(counts, masks.reshape(len(masks), columns.size), strict=True):
        inside = None if lengths is None else lengths[mask]
        count[:] = count_values(columns[mask], num_objects + 2, inside)
    in_void = counts[:, num_objects]
    return RegionOverlap(counts[:, :num_objects], counts.sum(1) - in_void, in_void, object_areas)


def object_columns(inst_map: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Name each pixel of an instance map by its object's place in a list of G ids.

    G stands for void and G + 1 for neither, in the smallest unsigned integer that can hold it.
    """
    known = np.append(np.asarray(ids, dtype=np.int64), VOID)
    order = np.argsort(known)
    place = order[np.searchsorted(known, inst_map, sorter=order).clip(max=len(known) - 1)]
    return np.where(known[place] == inst_map, place, len(known)).astype(
        np.min_scalar_type(len(known)))
