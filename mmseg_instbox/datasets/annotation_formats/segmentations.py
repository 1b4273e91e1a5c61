"""Check and convert polygons and run-length encodings."""
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as mask_tools

from ...errors import InstBoxError
from ...utils.foreign_errors import reason
from ...utils.run_lengths import encode_mask
from ..coco_masks import MAX_COORDINATE, MAX_OUTLINE, segmentation_rle

ON_GRID = 1e-3  # pixels that rounding may move a point by


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
    low, high = (values.min(), values.max()) if len(values) else (0, 0)
    if not (-MAX_COORDINATE <= low and high <= MAX_COORDINATE):  # also if one is no number
        raise Fault('broken annotation', 'has a polygon of other things than finite numbers up to '
                    f'{MAX_COORDINATE:,.0f}; left out')
    if len(values) % 2:
        raise Fault('broken annotation', f'has a polygon of {len(values)} coordinates, expected x '
                    'and y of each point; left out')
    points = values.reshape(-1, 2)
    if len(points) * (high - low) > MAX_OUTLINE and (
            np.abs(points - np.roll(points, 1, axis=0)).max(axis=1).sum() > MAX_OUTLINE):
        raise Fault('broken annotation', 'has an outline of more than '
                    f'{MAX_OUTLINE:,.0f} pixels; left out')
    return points


def polygon_area(points: np.ndarray) -> float:
    """Area inside a polygon (P, 2) in square pixels."""
    x, y = points.T
    inner = x[:-1] @ y[1:] - y[:-1] @ x[1:]
    return abs(float(inner + x[-1] * y[0] - y[-1] * x[0])) / 2


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


def fill_outlines(polygons: list, offset: float, size: tuple[int, int]) -> dict | None:
    """Draw polygons through the outermost pixels of a mask, as this package writes them.

    Read as outlines of an area, they would lose half a pixel on each side.

    Args:
        polygons: Their points in any nesting.
        offset: Where in a pixel the points lie.
        size: Width and height of the image.

    Returns:
        dict | None: The run-length encoding of the mask; None for other polygons, whose points do
        not all lie there.
    """
    mask = np.zeros(size[::-1], np.uint8)
    for polygon in polygons:
        try:
            points = read_points(polygon) - offset
        except Fault:
            return None
        pixels = np.rint(points)
        if len(points) < 3 or np.abs(points - pixels).max() > ON_GRID:
            return None
        cv2.fillPoly(mask, [pixels.astype(np.int32)], 1)
    return encode_mask(mask)
