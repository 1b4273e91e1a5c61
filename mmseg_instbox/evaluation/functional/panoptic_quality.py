"""Panoptic quality (Kirillov et al., Panoptic Segmentation, 2019, section 4)."""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .region_iou import VOID_ID
from .true_categories import VOID_CATEGORY


class Segments(NamedTuple):
    """Segments of an image: ``index_map`` (H, W) int64, the segment of each pixel or -1 for none,
    and ``categories`` (S,) int64. A segment may have no pixel and then does not count."""

    index_map: Tensor
    categories: Tensor


def predicted_segments(masks: Tensor, labels: Tensor, scores: Tensor, seg_map: Tensor,
                       thing_ids: Sequence[int], num_classes: int) -> Segments:
    """Lay predicted instances over the stuff of a category map.

    A pixel in several instances belongs to the one of highest score, the first of equals. A pixel
    in none belongs to the segment of its category if that is stuff, else to no segment. There is
    no limit of score, area or overlap below which a segment is left out.

    Args:
        masks (Tensor): Regions of the instances, (K, H, W) bool; they may overlap.
        labels (Tensor): Category of each, (K,) int64 index into ``thing_ids``.
        scores (Tensor): Score of each, (K,) float.
        seg_map (Tensor): Category of each pixel, (H, W) int64.
        thing_ids (Sequence[int]): The categories that have instances.
        num_classes (int): Number of categories C, stuff and things.

    Returns:
        Segments: K instances, then C stuff segments.
    """
    order = scores.sort(descending=True, stable=True).indices
    return _lay_over_stuff(masks[order], labels[order], seg_map, thing_ids, num_classes)


def true_segments(inst_map: Tensor, ids: Tensor, labels: Tensor, seg_map: Tensor,
                  thing_ids: Sequence[int], num_classes: int) -> Segments:
    """Segments of the ground truth; -1 is void.

    Void is what is void in one of the maps, and pixels of a thing category without an object:
    nobody knows to which object they belong.

    Args:
        inst_map (Tensor): Object id of each pixel, (H, W) integer, 0 none, 255 void.
        ids (Tensor): Ids of the G objects, (G,) integer.
        labels (Tensor): Category of each, (G,) int64 index into ``thing_ids``.
        seg_map (Tensor): Category of each pixel, (H, W) int64, 255 void.
        thing_ids (Sequence[int]): The categories that have instances.
        num_classes (int): Number of categories C, stuff and things.

    Returns:
        Segments: G objects, then C stuff segments.
    """
    masks = inst_map == ids.to(inst_map)[:, None, None]
    segments = _lay_over_stuff(masks, labels, seg_map, thing_ids, num_classes)
    segments.index_map[(inst_map == VOID_ID) | (seg_map == VOID_CATEGORY)] = -1
    return segments


def panoptic_counts(predicted: Segments, truth: Segments, num_classes: int) -> np.ndarray:
    """Match the segments of an image and count.

    A predicted and a true segment of one category match if their IoU is above 0.5, void pixels
    left out of the union. Unmatched predictions of which more than half is void do not count.

    Args:
        predicted (Segments): Predicted segments.
        truth (Segments): True segments; -1 is void.
        num_classes (int): Number of categories C.

    Returns:
        ndarray: Sum of the IoU of the matches, number of matches, of false and of missed segments
        of each category, (4, C) float64. Counts of several images add.
    """
    overlap = _overlap(predicted, truth)
    areas, true_areas = overlap.sum(0)[1:], overlap.sum(1)[1:]
    in_void, shared = overlap[0, 1:], overlap[1:, 1:]
    union = true_areas[:, None] + areas - in_void - shared
    categories, true_categories = (segments.categories.cpu().numpy()
                                   for segments in (predicted, truth))
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
    """Panoptic, segmentation and recognition quality of each category (equation 1).

    Args:
        counts (ndarray): Summed :func:`panoptic_counts`, (4, C).

    Returns:
        dict[str, ndarray]: ``PQ``, ``SQ`` and ``RQ``, each (C,) float64. A category without a
        match has 0 in all; one without any segment, true or false, has nan.
    """
    iou, matched, false, missed = counts
    total = matched + (false + missed) / 2
    nothing = np.where(total > 0, 0., np.nan)
    return dict(
        PQ=np.divide(iou, total, out=nothing.copy(), where=total > 0),
        SQ=np.divide(iou, matched, out=nothing.copy(), where=matched > 0),
        RQ=np.divide(matched, total, out=nothing.copy(), where=total > 0))


def _lay_over_stuff(masks: Tensor, labels: Tensor, seg_map: Tensor, thing_ids: Sequence[int],
                    num_classes: int) -> Segments:
    """Segments of instances, earlier ones over later ones, and of the stuff between them."""
    things = seg_map.new_tensor(thing_ids)
    categories = torch.arange(num_classes, device=seg_map.device)
    segment_of = seg_map.new_full((VOID_CATEGORY + 1, ), -1)
    segment_of[:num_classes] = categories + len(masks)
    segment_of[things] = -1
    index_map = segment_of[seg_map]
    for index in reversed(range(len(masks))):
        index_map.masked_fill_(masks[index], index)
    return Segments(index_map, torch.cat([things[labels.to(things)], categories]))


def _overlap(predicted: Segments, truth: Segments) -> np.ndarray:
    """Pixels shared by true and predicted segments, (1 + G, 1 + P) int64; none and void first."""
    shape = (len(truth.categories) + 1, len(predicted.categories) + 1)
    pairs = (truth.index_map + 1) * shape[1] + predicted.index_map + 1
    return pairs.flatten().bincount(minlength=shape[0] * shape[1]).view(shape).cpu().numpy()
