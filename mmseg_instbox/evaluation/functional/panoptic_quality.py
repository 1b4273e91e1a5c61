"""Panoptic quality (Kirillov et al., Panoptic Segmentation, 2019, section 4)."""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mmseg_instbox.core.feature_grid import VOID

from .pixel_counts import count_values, object_columns


class Segments(NamedTuple):
    """Segments of an image: ``index_map`` (H, W) int32, the segment of each pixel or -1 for none,
    and ``categories`` (S,) int64. A segment may have no pixel and then does not count.

    In all functions runs (R,) of :func:`find_runs` can stand for the pixels (H, W).
    """

    index_map: np.ndarray
    categories: np.ndarray


def predicted_segments(masks: np.ndarray, labels: np.ndarray, scores: np.ndarray,
                       seg_map: np.ndarray, thing_ids: Sequence[int],
                       num_classes: int) -> Segments:
    """Lay predicted instances over the stuff of a category map.

    A pixel in several instances belongs to the one of highest score, the first of equals. A pixel
    in none belongs to the segment of its category if that is stuff, else to no segment. There is
    no limit of score, area or overlap below which a segment is left out.

    Args:
        masks: Regions of the K instances, (K, H, W) bool; they may overlap.
        labels: Category of each, (K,) integer index into ``thing_ids``.
        scores: Score of each, (K,) float.
        seg_map: Category of each pixel, (H, W) integer, 0 to 255.
        thing_ids: The categories that have instances.
        num_classes: Number of categories C, stuff and things.

    Returns:
        Segments: K instances in the order given, then C stuff segments.
    """
    index_map = _stuff_segments(seg_map, thing_ids, num_classes, len(masks))
    for index in np.argsort(-scores, kind='stable')[::-1]:
        np.copyto(index_map, index, where=masks[index])
    return Segments(index_map, _segment_categories(labels, thing_ids, num_classes))


def true_segments(inst_map: np.ndarray, ids: np.ndarray, labels: np.ndarray, seg_map: np.ndarray,
                  thing_ids: Sequence[int], num_classes: int) -> Segments:
    """Find the segments of the ground truth; -1 is void.

    Void is what is void in one of the maps, and pixels of a thing category without an object,
    whose object is unknown.

    Args:
        inst_map: Object id of each pixel, (H, W) integer, 0 none, 255 void.
        ids: Ids of the G objects, (G,) integer.
        labels: Category of each, (G,) integer index into ``thing_ids``.
        seg_map: Category of each pixel, (H, W) integer, 0 to 255, which is void.
        thing_ids: The categories that have instances.
        num_classes: Number of categories C, stuff and things.

    Returns:
        Segments: G objects, then C stuff segments.
    """
    columns = object_columns(inst_map, ids)
    index_map = _stuff_segments(seg_map, thing_ids, num_classes, len(ids))
    np.copyto(index_map, columns, where=columns < len(ids))
    index_map[(columns == len(ids)) | (seg_map == VOID)] = -1
    return Segments(index_map, _segment_categories(labels, thing_ids, num_classes))


def panoptic_counts(predicted: Segments, truth: Segments, num_classes: int,
                    lengths: np.ndarray | None = None) -> np.ndarray:
    """Match the segments of an image and count.

    A predicted and a true segment of one category match if their IoU is above 0.5, void pixels
    left out of the union. Unmatched predictions of which more than half is void do not count.
    ``lengths`` are the pixels of each run, if the segments are of runs.

    Returns:
        ndarray: Sum of the IoU of the matches, number of matches, of false and of missed segments
        of each category, (4, C) float64. Counts of several images add.
    """
    # pixels shared by true and predicted segments, (1 + G, 1 + P); none and void first
    shape = (len(truth.categories) + 1, len(predicted.categories) + 1)
    pairs = (truth.index_map + 1) * shape[1] + predicted.index_map + 1
    overlap = count_values(pairs, shape[0] * shape[1], lengths).reshape(shape)
    areas, true_areas = overlap.sum(0)[1:], overlap.sum(1)[1:]
    in_void, shared = overlap[0, 1:], overlap[1:, 1:]
    union = true_areas[:, None] + areas - in_void - shared
    categories, true_categories = predicted.categories, truth.categories
    matches = (2 * shared > union) & (true_categories[:, None] == categories)
    false = (areas > 0) & (2 * in_void <= areas) & ~matches.any(0)
    missed = (true_areas > 0) & ~matches.any(1)
    rows, columns = matches.nonzero()
    found = true_categories[rows]
    ious = shared[rows, columns] / union[rows, columns]
    return np.stack([np.bincount(found, ious, num_classes)] + [
        np.bincount(each, minlength=num_classes).astype(np.float64)
        for each in (found, categories[false], true_categories[missed])])


def panoptic_quality(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Compute panoptic, segmentation and recognition quality of each category (equation 1).

    Returns:
        dict[str, ndarray]: ``PQ``, ``SQ`` and ``RQ`` of summed :func:`panoptic_counts`, each (C,)
        float64. A category without a match has 0 in all, one without any segment nan.
    """
    iou, matched, false, missed = counts
    total = matched + (false + missed) / 2
    nothing = np.where(total > 0, 0., np.nan)
    return dict(
        PQ=np.divide(iou, total, out=nothing.copy(), where=total > 0),
        SQ=np.divide(iou, matched, out=nothing.copy(), where=matched > 0),
        RQ=np.divide(matched, total, out=nothing.copy(), where=total > 0))


def _stuff_segments(seg_map: np.ndarray, thing_ids: Sequence[int], num_classes: int,
                    first: int) -> np.ndarray:
    """Segment of each pixel's category, the stuff numbered from ``first`` on, -1 for things."""
    segment_of = np.full(max(num_classes, VOID) + 1, -1, dtype=np.int32)
    segment_of[:num_classes] = np.arange(first, first + num_classes)
    segment_of[list(thing_ids)] = -1
    return segment_of.take(seg_map)


def _segment_categories(labels: np.ndarray, thing_ids: Sequence[int],
                        num_classes: int) -> np.ndarray:
    """Category of each instance and then of each stuff segment, (S,) int64."""
    things = np.asarray(thing_ids, dtype=np.int64)
    return np.concatenate([things[labels], np.arange(num_classes)])
