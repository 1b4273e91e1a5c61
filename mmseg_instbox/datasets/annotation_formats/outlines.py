"""Polygons for shapes, and masks for the polygons that this package writes."""
import cv2
import numpy as np

from ...errors import InvalidInputError
from ...utils.run_lengths import encode_mask
from ..coco_masks import read_polygons

ON_GRID = 1e-3  # pixels that rounding may move a point by


def ellipse(x: float, y: float, radius_x: float, radius_y: float, angle: float = 0) -> list[float]:
    """A polygon of 64 points for an ellipse, turned by an angle in radians."""
    turns = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    across, along = radius_x * np.cos(turns), radius_y * np.sin(turns)
    cos, sin = np.cos(angle), np.sin(angle)
    points = np.stack([x + across * cos - along * sin, y + across * sin + along * cos], axis=1)
    return points.ravel().tolist()


def fill_outlines(polygons: list, offset: float, size: tuple[int, int]) -> dict | None:
    """Draw polygons through the outermost pixels of a mask, as this package writes them.

    Read as outlines of an area, they would lose half a pixel on each side.

    Args:
        polygons: A list of polygons, their points in any nesting.
        offset: Where in a pixel the points lie.
        size: Width and height of the image.

    Returns:
        dict | None: The run-length encoding of the mask; None for other polygons, whose points do
        not all lie there.
    """
    mask = np.zeros(size[::-1], np.uint8)
    try:
        polygons = read_polygons(polygons, '')
    except InvalidInputError:
        return None
    for polygon in polygons:
        points = np.reshape(polygon, (-1, 2)) - offset
        pixels = np.rint(points)
        if len(points) < 3 or np.abs(points - pixels).max() > ON_GRID:
            return None
        cv2.fillPoly(mask, [pixels.astype(np.int32)], 1)
    return encode_mask(mask)
