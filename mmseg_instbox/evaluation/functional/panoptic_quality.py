"""Panoptic quality (Kirillov et al., Panoptic Segmentation, 2019, section 4).

``seg_map`` is the category of each pixel, (H, W) integer, 0 to 255 (void); ``thing_ids`` are the
categories with instances among ``num_classes`` = C; ``labels`` index ``thing_ids``. Runs (R,) of
:func:`~.pixel_counts.find_runs` can stand for the pixels (H, W).
"""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...core import VOID
from .pixel_counts import count_values, object_columns


class Segments(NamedTuple):
    """Segments of an image: ``index_map`` (H, W) int32, the segment of each pixel or -1 for none,
    and ``categories`` (S,) int64. A segment may have no pixel and then does not count."""
    index_map: np.ndarray
    categories: np.ndarray


def predicted_segments(masks: np.ndarray, labels: np.ndarray, scores: np.ndarray,
                       seg_map: np.ndarray, thing_ids: Sequence[int],
                       num_classes: int) -> Segments:
    """Lay K predicted instances over the stuff of a category map: K segments, then C of stuff.

    A pixel in several masks (K, H, W) belongs to the one of highest score, the first of equals. A
    pixel in none belongs to the segment of its category if that is stuff, else to no segment. There
    is no limit of score, area or overlap below which a segment is left out.
    """
    segments = _stuff_segments(labels, seg_map, thing_ids, num_classes)
    for index in np.argsort(-scores, kind='stable')[::-1]:
        np.copyto(segments.index_map, index, where=masks[index])
    return segments


def true_segments(inst_map: np.ndarray, ids: np.ndarray, labels: np.ndarray, seg_map: np.ndarray,
                  thing_ids: Sequence[int], num_classes: int) -> Segments:
    """Find the segments of the ground truth, -1 is void: G of objects, then C of stuff.

    Void is what is void in ``seg_map`` or ``inst_map``, (H, W) integer with 0 for none, and pixels
    of a thing category without an object, whose object is unknown.
    """
    columns = object_columns(inst_map, ids)
    segments = _stuff_segments(labels, seg_map, thing_ids, num_classes)
    np.copyto(segments.index_map, columns, where=columns < len(ids))
    segments.index_map[(columns == len(ids)) | (seg_map == VOID)] = -1
    return segments


def panoptic_counts(predicted: Segments, truth: Segments, num_classes: int,
                    lengths: np.ndarray | None = None) -> np.ndarray:
    """Match the segments of an image and count.

    A predicted and a true segment of one category match if their IoU is above 0.5, void pixels
    left out of the union. Unmatched predictions of which more than half is void do not count.
    ``lengths`` are the pixels of each run, if the segments are of runs.

    Returns (4, C) float64: of each category the sum of the IoU of the matches and the number of
    matches, of false and of missed segments. Counts of several images add.
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
    """Compute ``PQ``, ``SQ`` and ``RQ``, (C,) float64 each, of summed counts (equation 1).

    A category without a match has 0 in all; one without any segment, true or false, has nan.
    """
    iou, matched, false, missed = counts
    total = matched + (false + missed) / 2
    total[total == 0] = np.nan
    return dict(PQ=iou / total,
                SQ=np.where(total > 0, iou / np.maximum(matched, 1), np.nan),
                RQ=matched / total)


def _stuff_segments(labels: np.ndarray, seg_map: np.ndarray, thing_ids: Sequence[int],
                    num_classes: int) -> Segments:
    """Segments of instances that have no pixel yet, and of the stuff, which has its pixels."""
    segment_of = np.full(max(num_classes, VOID) + 1, -1, dtype=np.int32)
    segment_of[:num_classes] = np.arange(len(labels), len(labels) + num_classes)
    segment_of[list(thing_ids)] = -1
    things = np.asarray(thing_ids, dtype=np.int64)
    return Segments(segment_of.take(seg_map),
                    np.concatenate([things[labels], np.arange(num_classes)]))
