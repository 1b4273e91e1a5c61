"""The categories of a data set, as the formats number them."""
from collections.abc import Sequence
from typing import NamedTuple

from mmseg_instbox.errors import InvalidInputError


class Categories(NamedTuple):
    """``classes`` and ``thing_classes``, their names; ``thing_ids``, the index in ``classes`` of
    each thing; ``coco_ids``, the id of each of the ``classes`` in files of COCO's formats; and
    ``palette``, the RGB colour of each of the ``classes``, or nothing."""
    classes: tuple[str, ...]
    thing_classes: tuple[str, ...]
    thing_ids: tuple[int, ...]
    coco_ids: tuple[int, ...]
    palette: tuple[Sequence[int], ...]


def read_categories(dataset_meta: dict) -> Categories:
    """Read the categories of a data set's metainfo.

    COCO's ids are those of ``category_ids`` (id -> index into ``thing_classes``), which data sets
    read from COCO have, if it gives each thing one id. Else they are the indices in ``classes``,
    plus 1 if the first of the ``classes`` is a thing: 0 is no id of an object.

    Args:
        dataset_meta (dict): With ``classes`` and ``thing_classes``; ``palette`` and
            ``category_ids`` are read where they are there.

    Raises:
        ValueError: If names are missing, a thing is not among the classes, or two are alike.
    """
    classes, things = (tuple((dataset_meta or {}).get(key) or ())
                       for key in ('classes', 'thing_classes'))
    if not classes or not things:
        raise InvalidInputError(f'dataset_meta has the keys {sorted(dataset_meta or {})}, but '
                                "'classes' and 'thing_classes' are needed: take the inferencer's "
                                "or the model's dataset_meta.")
    if len(set(classes)) < len(classes) or not set(things) <= set(classes):
        raise InvalidInputError(f'dataset_meta names the classes {classes} and the thing_classes '
                                f'{things}: each class must be there once, and each thing must be '
                                'one of the classes.')
    thing_ids = tuple(classes.index(name) for name in things)
    coco_ids = _coco_ids(len(classes), thing_ids, dataset_meta.get('category_ids') or {})
    return Categories(classes, things, thing_ids, coco_ids,
                      tuple(dataset_meta.get('palette') or ()))


def _coco_ids(number: int, thing_ids: tuple[int, ...], official: dict) -> tuple[int, ...]:
    """The id of each of ``number`` classes, all different."""
    ids = [index + (0 in thing_ids) for index in range(number)]
    labels = {int(label): int(category_id) for category_id, label in official.items()}
    if len(official) != len(thing_ids) or set(labels) != set(range(len(thing_ids))):
        return tuple(ids)
    things = {index: labels[label] for label, index in enumerate(thing_ids)}
    free = max([*ids, *things.values()]) + 1
    stuff = [ids[i] if ids[i] not in things.values() else free + i for i in range(number)]
    return tuple(things.get(i, stuff[i]) for i in range(number))
