"""Pure functions on category maps and instance maps (NumPy).

A category map is (H, W) uint8 with 255 for void; an instance map is (H, W) with 0 for no object,
255 for void and any other value for the id of an object.
"""
from collections.abc import Iterable, Sequence

import numpy as np

from ..core import VOID
from ..errors import InvalidInputError
from ..utils.limits import check_limit


def category_lookup(num_classes: int,
                    label_map: dict[int, int] | None = None,
                    reduce_zero_label: bool = False) -> np.ndarray:
    """Table from an index stored in a category mask to the category used in training.

    ``label_map`` leads from the categories of the masks to those of the data set, as
    ``BaseSegDataset.get_label_map`` builds it; None means that they are the same. With
    ``reduce_zero_label`` a stored 0 is void and the categories begin at 1.

    Returns:
        Array of shape (256,), int16: the category, 255 for void, -1 for an invalid index.
    """
    if label_map is None:
        label_map = {i: i for i in range(num_classes)}
    first = int(reduce_zero_label)
    table = np.full(256, -1, dtype=np.int16)
    table[[VOID, 0]] = VOID, (VOID if reduce_zero_label else -1)
    for old, new in label_map.items():
        table[old + first] = new
    return table


def map_categories(stored: np.ndarray, table: np.ndarray, file: str) -> np.ndarray:
    """Turn a category mask (H, W) of any integer type into a category map (H, W) uint8.

    Args:
        stored: The mask as decoded.
        table: See :func:`category_lookup`.
        file: Name of the mask, for the error message.

    Raises:
        ValueError: If the mask holds an index that is no category.
    """
    inside = (stored >= 0) & (stored < len(table))
    mapped = table[np.where(inside, stored, 0)]
    wrong = ~inside | (mapped < 0)
    if wrong.any():
        raise InvalidInputError(
            f'{file}: the category mask holds {np.unique(stored[wrong])[:10].tolist()}, but the '
            f'data set knows only the indices {_valid_range(table)} (and 255 for void). Correct '
            'the mask, or list all categories in metainfo=dict(classes=...).')
    return mapped.astype(np.uint8)


def _valid_range(table: np.ndarray) -> str:
    valid = np.flatnonzero(table[:VOID] >= 0)
    return f'{valid.min()} to {valid.max()}' if len(valid) else 'no category'


def check_same_size(shape: Sequence[int], expected: Sequence[int], file: str, other: str) -> None:
    """Raise ValueError unless a mask has the size of what it belongs to.

    Both begin with height and width; ``file`` names the mask, ``other`` what has the size.
    """
    if tuple(shape[:2]) != tuple(expected[:2]):
        raise InvalidInputError(f'{file}: the mask is {shape[1]} x {shape[0]} pixels (width x '
                                f'height), but {other} is {expected[1]} x {expected[0]}. Make them '
                                'equal in size.')


def split_coded_ids(coded: np.ndarray, divisor: int) -> tuple[np.ndarray, np.ndarray]:
    """Take apart a mask whose values from ``divisor`` on are ``category * divisor + number``.

    Returns:
        Categories and object ids, both (H, W) int32; the id of an object is its value in the mask,
        0 for no object. A value below ``divisor`` is a category without object.
    """
    is_object = coded >= divisor
    categories = np.where(is_object, coded // divisor, coded)
    return categories.astype(np.int32), np.where(is_object, coded, 0).astype(np.int32)


def void_groups(seg_map: np.ndarray, inst_map: np.ndarray, thing_ids: Iterable[int]) -> np.ndarray:
    """Make the pixels of things that belong to no object void, and clear the ids of stuff.

    Returns:
        Instance map of shape (H, W), int32.
    """
    is_thing = np.zeros(256, dtype=bool)
    is_thing[list(thing_ids)] = True
    things = is_thing[seg_map]
    result = np.where(things, inst_map, 0).astype(np.int32)
    result[things & (inst_map == 0)] = VOID
    result[seg_map == VOID] = VOID
    return result


def object_runs(inst_map: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Cut the objects of an instance map (H, W) into horizontal runs.

    Returns:
        Four arrays of one entry a run: id, row, first column, column after the last.
    """
    change = np.ones(inst_map.shape, dtype=bool)
    change[:, 1:] = inst_map[:, 1:] != inst_map[:, :-1]
    start = np.flatnonzero(change)
    length = np.diff(start, append=inst_map.size)
    ids = inst_map.ravel()[start]
    keep = (ids != 0) & (ids != VOID)
    rows, columns = np.divmod(start[keep], max(inst_map.shape[1], 1))
    return ids[keep], rows, columns, columns + length[keep]


def object_boxes(inst_map: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ids and bounding boxes of the objects in an instance map (H, W).

    Returns:
        Ids (N,) int64 in rising order, and boxes (N, 4) float32 ``(x1, y1, x2, y2)`` in pixels,
        right and bottom edge exclusive.
    """
    run_ids, rows, begins, ends = object_runs(inst_map)
    ids, index = np.unique(run_ids, return_inverse=True)
    boxes = np.empty((len(ids), 4), dtype=np.float32)
    boxes[:, :2], boxes[:, 2:] = np.inf, -np.inf
    np.minimum.at(boxes[:, 0], index, begins)
    np.minimum.at(boxes[:, 1], index, rows)
    np.maximum.at(boxes[:, 2], index, ends)
    np.maximum.at(boxes[:, 3], index, rows + 1)
    return ids.astype(np.int64), boxes


def object_category_pairs(seg_map: np.ndarray, inst_map: np.ndarray) -> np.ndarray:
    """All pairs of object id and category that share a pixel, void pixels left out.

    Returns:
        Array of shape (P, 2), int64: id and category, sorted, each pair once.
    """
    mask = (inst_map != 0) & (inst_map != VOID) & (seg_map != VOID)
    codes = inst_map[mask].astype(np.int64) * 256 + seg_map[mask]
    # Neighbouring pixels mostly agree: dropping repeats first makes the sort in unique cheap.
    codes = np.unique(codes[np.diff(codes, prepend=-1) != 0])
    return np.stack(np.divmod(codes, 256), axis=1)


def check_objects(seg_map: np.ndarray, inst_map: np.ndarray, thing_ids: Iterable[int],
                  file: str) -> None:
    """Raise ValueError unless each object has exactly one category, and that is a thing.

    Void pixels of an object do not count. ``file`` names the instance mask in the message.
    """
    pairs = object_category_pairs(seg_map, inst_map)
    ids, counts = np.unique(pairs[:, 0], return_counts=True)
    if (counts > 1).any():
        which = int(ids[counts > 1][0])
        raise InvalidInputError(f'{file}: object {which} covers pixels of the categories '
                                f'{pairs[pairs[:, 0] == which, 1].tolist()}, but an object has one '
                                'category. Correct the category mask or give the parts ids of '
                                'their own.')
    not_thing = ~np.isin(pairs[:, 1], np.fromiter(thing_ids, dtype=np.int64))
    if not_thing.any():
        which, category = pairs[not_thing][0].tolist()
        raise InvalidInputError(f'{file}: object {which} lies on category {category}, which is '
                                'none of thing_classes. Give its pixels a thing category in the '
                                'category mask, or clear the object id.')
    present = np.unique(object_runs(inst_map)[0])
    check_limit('objects', len(present), file)
    without = np.setdiff1d(present, ids)
    if len(without):
        raise InvalidInputError(f'{file}: object {int(without[0])} has no category: all its pixels '
                                'are void (255) in the category mask. Give them a category, or '
                                'make the object void (255) too.')


def object_labels(seg_map: np.ndarray, inst_map: np.ndarray, ids: np.ndarray,
                  thing_ids: Sequence[int]) -> np.ndarray:
    """Category of each object as an index into the thing categories.

    Args:
        seg_map: Category map of shape (H, W).
        inst_map: Instance map of shape (H, W).
        ids: Object ids (N,), rising, as given by :func:`object_boxes`.
        thing_ids: Category of each thing class.

    Returns:
        Labels (N,), int64.

    Raises:
        ValueError: See :func:`check_objects`.
    """
    check_objects(seg_map, inst_map, thing_ids, 'gt_inst_map')
    position = {category: label for label, category in enumerate(thing_ids)}
    categories = dict(object_category_pairs(seg_map, inst_map).tolist())
    return np.array([position[categories[i]] for i in ids.tolist()], dtype=np.int64)
