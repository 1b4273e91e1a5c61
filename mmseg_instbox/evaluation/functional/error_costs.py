"""How many errors there are of each kind, and how much AP^r is lost to each.

``images`` are the errors of each image in data set order, all of one threshold; figures of the T
thing categories are (T,).
"""
from collections.abc import Collection, Sequence

import numpy as np

from .average_precision import average_precision_table
from .error_analysis import CORRECT, ERROR_KINDS, ImageErrors


def fixed_precision(images: Sequence[ImageErrors], num_things: int,
                    fixed: Collection[str] = ()) -> np.ndarray:
    """Compute AP^r of each category as if the errors of some kinds had not been made.

    To fix a kind is to take its predictions away and to find its objects, each with the score of
    its culprit: the prediction that spoilt it, the best of several. Missed objects have none and
    are left out instead (both as in TIDE, section 2.3), so that the others decide at which
    precision they would have been found. AP^r is nan for categories without objects, and 1 for
    those whose objects are all left out.
    """
    entries = [_fix(errors, num_things, list(fixed)) for errors in images]
    labels, scores, hits, num_objects = zip(*entries, strict=True)
    table = average_precision_table(
        np.concatenate(labels), np.concatenate(scores), np.concatenate(hits)[:, None],
        sum(num_objects))[:, 0]
    is_there = sum(np.bincount(errors.object_labels, minlength=num_things) for errors in images) > 0
    table[is_there & np.isnan(table)] = 1.
    return table


def error_costs(images: Sequence[ImageErrors], num_things: int) -> dict[str, np.ndarray]:
    """Compute what AP^r of each category would gain if one kind of error alone were fixed.

    Returns ``AP``, nan for categories without objects; a cost for each of ``ERROR_KINDS``, which do
    not add up to what is missing to 1, because errors hide one another; and ``AP_all_fixed``, 1
    wherever there are objects.
    """
    precision = fixed_precision(images, num_things)
    costs = {kind: fixed_precision(images, num_things, [kind]) - precision for kind in ERROR_KINDS}
    all_fixed = fixed_precision(images, num_things, ERROR_KINDS)
    return dict(AP=precision, **costs, AP_all_fixed=all_fixed)


def count_kinds(images: Sequence[ImageErrors], num_things: int) -> dict[str, dict[str, np.ndarray]]:
    """Count the ``predictions`` and the ``objects`` of each category, (T,) int64, by kind."""
    sides = dict(predictions=('kinds', 'labels'), objects=('object_kinds', 'object_labels'))
    return {
        side: {kind: sum(np.bincount(getattr(each, labels)[getattr(each, kinds) == kind],
                                     minlength=num_things) for each in images)
               for kind in (CORRECT, *ERROR_KINDS)}
        for side, (kinds, labels) in sides.items()
    }


def image_cost(errors: ImageErrors) -> float:
    """Number of objects that are not found and sum of the scores of false predictions.

    A false prediction does more harm the surer it is: it goes before more true ones.
    """
    lost = (errors.object_kinds != CORRECT).sum()
    return float(lost + errors.scores[errors.kinds != CORRECT].sum())


def _fix(errors: ImageErrors, num_things: int, fixed: list[str]) -> tuple[np.ndarray, ...]:
    """Labels, scores, hits and number of objects of an image with some kinds of errors fixed."""
    stay = ~np.isin(errors.kinds, fixed)
    is_fixed = np.isin(errors.object_kinds, fixed)
    healed = is_fixed & (errors.culprits >= 0)
    counted = ~is_fixed | healed
    labels = np.concatenate([errors.labels[stay], errors.object_labels[healed]])
    scores = np.concatenate([errors.scores[stay], errors.scores[errors.culprits[healed]]])
    hits = np.concatenate([errors.kinds[stay] == CORRECT, np.ones(healed.sum(), bool)])
    return labels, scores, hits, np.bincount(errors.object_labels[counted], minlength=num_things)
