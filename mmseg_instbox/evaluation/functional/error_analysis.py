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

from .average_precision import match_detections
from .pixel_counts import RegionOverlap

CORRECT = 'correct'
PAIRED_KINDS = ('duplicate', 'wrong_category', 'merged', 'split', 'border', 'both')
ERROR_KINDS = (*PAIRED_KINDS, 'background', 'missed')


class ErrorKinds(NamedTuple):
    """The kinds of K predictions and G objects of an image.

    ``kinds`` (K,) and ``object_kinds`` (G,) are names out of ``('correct', *ERROR_KINDS)``.
    ``partners`` (K,) int64 is the object that a prediction found or failed at, ``culprits`` (G,)
    int64 the prediction that found or spoilt an object; -1 for none.
    """
    kinds: np.ndarray
    object_kinds: np.ndarray
    partners: np.ndarray
    culprits: np.ndarray


def classify_errors(overlap: RegionOverlap, labels: np.ndarray, object_labels: np.ndarray,
                    scores: np.ndarray, threshold: float = 0.5,
                    background: float = 0.1) -> ErrorKinds:
    """Give every prediction and every object of an image its kind.

    Args:
        overlap: The pixels that K predictions, none of which lies in void only, share with G
            objects.
        labels: Category of each prediction, (K,) int.
        object_labels: Category of each object, (G,) int.
        scores: Score of each prediction, (K,) float64.
        threshold: ``t`` of the module's table.
        background: ``b`` of the table, 0 <= b < t < 1.
    """
    ious = overlap.ious
    found = match_detections(ious, labels, object_labels, scores, [threshold])[:, 0]
    relations = _relate(overlap, labels[:, None] == object_labels, found, threshold, background)
    kinds, partners = _first_kind(relations, ious, found, 'background')
    finders = np.full(len(object_labels), -1)
    finders[found[found >= 0]] = np.flatnonzero(found >= 0)
    turned = {kind: relation.T for kind, relation in relations.items()}
    merit = np.broadcast_to(scores, ious.T.shape)
    object_kinds, culprits = _first_kind(turned, merit, finders, 'missed')
    return ErrorKinds(kinds, object_kinds, partners, culprits)


def _relate(overlap: RegionOverlap, same: np.ndarray, found: np.ndarray, threshold: float,
            background: float) -> dict[str, np.ndarray]:
    """Which prediction makes which mistake with which object, whatever comes before it.

    ``same`` (K, G) bool tells where the categories are equal, ``found`` (K,) int64 is the object
    that a prediction finds, or -1. A matrix (K, G) bool for each of ``PAIRED_KINDS``, in order.
    """
    shared, areas, object_areas = overlap.intersections, overlap.areas, overlap.object_areas
    free = found[:, None] < 0
    is_found = np.isin(np.arange(len(object_areas)), found)
    close, near = free & (overlap.ious > threshold), free & (overlap.ious > background)
    covers = same & (shared > threshold * object_areas)
    part = free & same & (shared > threshold * areas[:, None])
    # IoU of each object with the union of its parts, which do not overlap, so areas add up
    inside = (shared * part).sum(0)
    outside = (areas[:, None] * part).sum(0) - inside
    joined = (part.sum(0) > 1) & (inside / (object_areas + outside) > threshold)
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
