"""What went wrong with each object and each prediction of an image.

In the spirit of TIDE (Bolya et al., *TIDE: A General Toolbox for Identifying Object Detection
Errors*, 2020, section 2.2), for masks that do not overlap, so that the two mistakes of grouping,
objects merged and an object split, are kinds of their own.

Every prediction and every object is of exactly one kind: the first in the list that is true of it.
A prediction is *free* when it has found no object; ``t`` is the threshold of AP^r (0.5) and ``b``
the one of the background (0.1).

==============  ==================================================================================
correct         The prediction finds an object, the object is found: the matching of AP^r, see
                :func:`~.average_precision.match_detections`.
duplicate       A free prediction has IoU > t with an object of its category, which another one
                has found. (Predictions only.)
wrong_category  A free prediction has IoU > t with an object of another category.
merged          A prediction of the right category covers more than t of two objects or more: cut
                at their borders, each piece would have IoU > t. An object may be lost to a
                prediction that finds the larger object beside it.
split           At least two free predictions of the object's category lie in it with more than t
                of their area, and joined they have IoU > t with it. For a prediction also: it lies
                so in an object that another one finds.
border          A free prediction of the right category has IoU > b with the object.
both            A free prediction of another category has IoU > b with the object.
background      The prediction has IoU <= b with every object, so it lies on the background or is
                no more than a scrap of something. (Predictions only.)
missed          No free prediction has IoU > b with the object. (Objects only.)
==============  ==================================================================================
"""
from typing import NamedTuple

import numpy as np

from mmseg_instbox.errors import InvalidInputError

from .average_precision import match_detections
from .pixel_counts import region_overlap

CORRECT = 'correct'
PAIRED_KINDS = ('duplicate', 'wrong_category', 'merged', 'split', 'border', 'both')
ERROR_KINDS = (*PAIRED_KINDS, 'background', 'missed')


class Regions(NamedTuple):
    """The K predictions and G objects of an image, void pixels left out.

    ``ious`` (K, G) float64; ``shared`` (K, G), ``areas`` (K,) and ``object_areas`` (G,) pixels,
    int64; ``labels`` (K,) and ``object_labels`` (G,) int64; ``scores`` (K,) float64.
    """
    ious: np.ndarray
    shared: np.ndarray
    areas: np.ndarray
    object_areas: np.ndarray
    labels: np.ndarray
    object_labels: np.ndarray
    scores: np.ndarray


class ImageErrors(NamedTuple):
    """The kinds of K predictions and G objects of an image.

    ``kinds`` (K,) and ``object_kinds`` (G,) are names out of ``('correct', *ERROR_KINDS)``.
    ``partners`` (K,) int64 is the object that a prediction found or failed at, ``culprits`` (G,)
    int64 the prediction that found or spoilt an object; -1 for none. ``labels`` (K,),
    ``object_labels`` (G,) and ``scores`` (K,) are those of :class:`Regions`.
    """
    kinds: np.ndarray
    object_kinds: np.ndarray
    partners: np.ndarray
    culprits: np.ndarray
    labels: np.ndarray
    object_labels: np.ndarray
    scores: np.ndarray


def measure_regions(masks: np.ndarray, labels: np.ndarray, scores: np.ndarray,
                    inst_map: np.ndarray, ids: np.ndarray,
                    object_labels: np.ndarray) -> tuple[Regions, np.ndarray]:
    """Measure how the K predictions and the G objects of an image overlap.

    Arguments as of :func:`~.pixel_counts.region_overlap`, which raises the same errors.

    Returns:
        tuple[Regions, ndarray]: The regions without the predictions that lie in void only, and
        which of the K are kept, (K,) bool.
    """
    overlap = region_overlap(masks, inst_map, ids)
    kept = overlap.kept
    regions = Regions(overlap.ious[kept], overlap.intersections[kept], overlap.areas[kept],
                      overlap.object_areas, labels[kept], object_labels,
                      scores[kept].astype(np.float64))
    return regions, kept


def classify_errors(regions: Regions, threshold: float = 0.5,
                    background: float = 0.1) -> ImageErrors:
    """Give every prediction and every object of an image its kind.

    ``threshold`` and ``background`` are ``t`` and ``b`` of the module's table.

    Raises:
        ValueError: Not ``0 <= background < threshold < 1``.
    """
    if not 0 <= background < threshold < 1:
        raise InvalidInputError(f'The thresholds are {threshold} (IoU of a found object) and '
                                f'{background} (IoU on the background); expected 0 <= background < '
                                'threshold < 1.')
    found = match_detections(regions.ious, regions.labels, regions.object_labels, regions.scores,
                             [threshold])[:, 0]
    relations = relate_errors(regions, found, threshold, background)
    kinds, partners = _first_kind(relations, regions.ious, found, 'background')
    finders = np.full(len(regions.object_labels), -1)
    finders[found[found >= 0]] = np.flatnonzero(found >= 0)
    scores = np.broadcast_to(regions.scores[:, None], regions.ious.shape)
    turned = {kind: relation.T for kind, relation in relations.items()}
    object_kinds, culprits = _first_kind(turned, scores.T, finders, 'missed')
    return ImageErrors(kinds, object_kinds, partners, culprits, regions.labels,
                       regions.object_labels, regions.scores)


def relate_errors(regions: Regions, found: np.ndarray, threshold: float,
                  background: float) -> dict[str, np.ndarray]:
    """Tell which prediction makes which mistake with which object, whatever comes before it.

    ``found`` (K,) int64 is the object that each prediction finds, or -1. Returns a matrix (K, G)
    bool for each of ``PAIRED_KINDS``, in that order.
    """
    same = regions.labels[:, None] == regions.object_labels
    free = found[:, None] < 0
    is_found = np.isin(np.arange(len(regions.object_labels)), found)
    close, near = free & (regions.ious > threshold), free & (regions.ious > background)
    covers = same & (regions.shared > threshold * regions.object_areas)
    part = free & same & (regions.shared > threshold * regions.areas[:, None])
    # IoU of each object with the union of its parts, which do not overlap, so areas add up
    inside = (regions.shared * part).sum(0)
    outside = (regions.areas[:, None] * part).sum(0) - inside
    joined = (part.sum(0) > 1) & (inside / (regions.object_areas + outside) > threshold)
    return dict(
        duplicate=close & same & is_found,
        wrong_category=close & ~same,
        merged=covers & (covers.sum(1, keepdims=True) > 1),
        split=part & (is_found | joined),
        border=near & same,
        both=near & ~same)


def _first_kind(relations: dict[str, np.ndarray], merit: np.ndarray, solved: np.ndarray,
                otherwise: str) -> tuple[np.ndarray, np.ndarray]:
    """The kind of each of N rows, (N,) str, and its best partner among M columns or -1, (N,).

    ``relations`` are a matrix (N, M) bool for each kind, in order of precedence; ``merit`` (N, M)
    says how good a partner is, the first of equals wins; ``solved`` (N,) are the partners of rows
    that are correct, else -1; ``otherwise`` is the kind of rows that no relation holds for.
    """
    kinds = np.full(len(solved), otherwise, dtype='<U16')
    partners = np.full(len(solved), -1)
    for kind, relation in reversed(relations.items()) if merit.size else ():
        rows = relation.any(1)
        kinds[rows] = kind
        partners[rows] = np.where(relation, merit, -np.inf)[rows].argmax(1)
    kinds[solved >= 0] = CORRECT
    return kinds, np.where(solved >= 0, solved, partners)
