"""Pure functions on category maps and instance maps (NumPy).

A category map is (H, W) uint8 with 255 for void; an instance map is (H, W) with 0 for no object,
255 for void and any other value for the id of an object.
"""
from collections.abc import Iterable, Sequence

import numpy as np

from ..core import VOID
from ..errors import InvalidInputError
from ..utils.limits import check_limit


def map_categories(stored: np.ndarray, file: str, num_classes: int,
                   label_map: dict[int, int] | None = None,
                   reduce_zero_label: bool = False) -> np.ndarray:
    """Turn a category mask (H, W) of any integer type into a category map (H, W) uint8.

    ``label_map`` leads from the categories of the masks to those of the data set, as
    ``BaseSegDataset.get_label_map`` builds it; None means that they are the same. With
    ``reduce_zero_label`` a stored 0 is void and the categories begin at 1. ``file`` names the mask
    in the ValueError about an index that is no category.
    """
    if label_map is None:
        label_map = {i: i for i in range(num_classes)}
    table = np.full(256, -1, dtype=np.int16)  # the category of each index, -1 for none
    table[[VOID, 0]] = VOID, (VOID if reduce_zero_label else -1)
    for old, new in label_map.items():
        table[old + int(reduce_zero_label)] = new
    inside = (stored >= 0) & (stored < len(table))
    mapped = table[np.where(inside, stored, 0)]
    wrong = ~inside | (mapped < 0)
    if wrong.any():
        known = np.flatnonzero(table[:VOID] >= 0)
        known = f'{known.min()} to {known.max()}' if len(known) else 'no category'
        raise InvalidInputError(
            f'{file}: the category mask holds {np.unique(stored[wrong])[:10].tolist()}, but the '
            f'data set knows only the indices {known} (and 255 for void). Correct the mask, or '
            'list all categories in metainfo=dict(classes=...).')
    return mapped.astype(np.uint8)


def check_same_size(shape: Sequence[int], expected: Sequence[int], file: str, other: str) -> None:
    """Raise ValueError unless a mask has the size of what it belongs to.

    Both begin with height and width; ``file`` names the mask, ``other`` what has the size.
    """
    if tuple(shape[:2]) != tuple(expected[:2]):
        raise InvalidInputError(f'{file}: the mask is {shape[1]} x {shape[0]} pixels (width x '
                                f'height), but {other} is {expected[1]} x {expected[0]}. Make them '
                                'equal in size.')


def object_boxes(inst_map: np.ndarray, void: int = VOID) -> tuple[np.ndarray, np.ndarray]:
    """Ids (N,) int64, in rising order, and boxes (N, 4) float32 ``(x1, y1, x2, y2)``, right and
    bottom edge exclusive, of the objects in an instance map (H, W); 0 and ``void`` are none."""
    # horizontal runs of pixels of one id: far fewer than pixels
    change = np.ones(inst_map.shape, dtype=bool)
    change[:, 1:] = inst_map[:, 1:] != inst_map[:, :-1]
    start = np.flatnonzero(change)
    length = np.diff(start, append=inst_map.size)
    run_ids = inst_map.ravel()[start]
    keep = (run_ids != 0) & (run_ids != void)
    rows, begins = np.divmod(start[keep], max(inst_map.shape[1], 1))
    ids, index = np.unique(run_ids[keep], return_inverse=True)
    boxes = np.empty((len(ids), 4), dtype=np.float32)
    boxes[:, :2], boxes[:, 2:] = np.inf, -np.inf
    np.minimum.at(boxes[:, 0], index, begins)
    np.minimum.at(boxes[:, 1], index, rows)
    np.maximum.at(boxes[:, 2], index, begins + length[keep])
    np.maximum.at(boxes[:, 3], index, rows + 1)
    return ids.astype(np.int64), boxes


def check_objects(seg_map: np.ndarray, inst_map: np.ndarray, thing_ids: Iterable[int],
                  file: str) -> np.ndarray:
    """The categories (N,) int64 of the objects, in the order of :func:`object_boxes`.

    Raises:
        ValueError: An object has several categories, one that is no thing, or none, its void pixels
            aside; or there are more objects than the limit. ``file`` names the instance mask.
    """
    mask = (inst_map != 0) & (inst_map != VOID)
    codes = inst_map[mask].astype(np.int64) * 256 + seg_map[mask]
    # neighbouring pixels mostly agree: dropping repeats first makes the sort in unique cheap
    codes = np.unique(codes[np.diff(codes, prepend=-1) != 0])
    pairs = np.stack(np.divmod(codes, 256), axis=1)  # of object id and category, also void
    present, (ids, categories) = np.unique(pairs[:, 0]), pairs[pairs[:, 1] != VOID].T
    repeated = ids[1:][ids[1:] == ids[:-1]]
    if len(repeated):
        raise InvalidInputError(f'{file}: object {repeated[0]} covers pixels of the categories '
                                f'{categories[ids == repeated[0]].tolist()}, but an object has one '
                                'category. Correct the category mask or give the parts ids of '
                                'their own.')
    not_thing = ~np.isin(categories, [*thing_ids])
    if not_thing.any():
        raise InvalidInputError(f'{file}: object {ids[not_thing][0]} lies on category '
                                f'{categories[not_thing][0]}, which is none of thing_classes. Give '
                                'its pixels a thing category in the category mask, or clear the '
                                'object id.')
    check_limit('objects', len(present), file)
    without = np.setdiff1d(present, ids)
    if len(without):
        raise InvalidInputError(f'{file}: object {without[0]} has no category: all its pixels are '
                                'void (255) in the category mask. Give them a category, or make '
                                'the object void (255) too.')
    return categories
