"""Check and convert polygons and run-length encodings."""
from typing import Any

import numpy as np
from pycocotools import mask as mask_tools

from ...errors import InstBoxError
from ...utils.foreign_errors import reason
from ..coco_masks import MAX_COORDINATE, MAX_OUTLINE, segmentation_rle


class Fault(Exception):
    """Why an annotation is left out: the kind of the problem and a message."""


def read_points(polygon: Any) -> np.ndarray:
    """The points (P, 2) of a polygon in any nesting.

    Raises:
        Fault: It is no list of finite numbers in pairs.
    """
    try:
        values = np.asarray(polygon, dtype=np.float64).ravel()
    except (TypeError, ValueError, OverflowError):
        values = np.array([np.nan])
    if len(values) % 2 and np.isfinite(values).all():
        raise Fault('broken annotation', f'has a polygon of {len(values)} coordinates, expected x '
                     'and y of each point; left out')
    if not (np.abs(values) <= MAX_COORDINATE).all():
        raise Fault('broken annotation', 'has a polygon of other things than finite numbers up to '
                     f'{MAX_COORDINATE:,.0f}; left out')
    points = values.reshape(-1, 2)
    if len(points) and len(points) * np.ptp(points, axis=0).max() > MAX_OUTLINE and (
            np.abs(points - np.roll(points, 1, axis=0)).max(axis=1).sum() > MAX_OUTLINE):
        raise Fault('broken annotation', 'has an outline of more than '
                     f'{MAX_OUTLINE:,.0f} pixels; left out')
    return points


def polygon_area(points: np.ndarray) -> float:
    """Area inside a polygon (P, 2) in square pixels."""
    x, y = points.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def read_code(code: dict, image: dict) -> tuple[dict, list[float], float]:
    """A compressed run-length encoding, its box (x1, y1, x2, y2) and area."""
    size = (image['height'], image['width'])
    turn = image.get('turn')
    try:
        rle = segmentation_rle(code, size[::-1] if turn else size, '')
    except InstBoxError as error:
        raise Fault('broken annotation', f'cannot be read ({reason(error).lstrip(": ")}); left '
                     'out') from error
    if turn:
        mask = mask_tools.decode(rle)
        mask = {5: mask.T, 6: np.rot90(mask, -1), 7: np.rot90(mask, 2).T, 8: np.rot90(mask)}[turn]
        rle = mask_tools.encode(np.asfortranarray(mask))
    area = float(mask_tools.area(rle))
    if not area:
        raise Fault('no area', 'covers no pixel; left out')
    x, y, width, height = mask_tools.toBbox(rle).tolist()
    text = dict(size=[*map(int, rle['size'])], counts=rle['counts'].decode())
    return text, [x, y, x + width, y + height], area


def turn_points(points: np.ndarray, turn: int, size: tuple[int, int]) -> np.ndarray:
    """Points (P, 2) of the stored image of a size (width, height) on the image as shown."""
    (x, y), (width, height) = points.T, size
    turned = {5: (y, x), 6: (height - y, x), 7: (height - y, width - x), 8: (y, width - x)}[turn]
    return np.stack(turned, axis=1)
