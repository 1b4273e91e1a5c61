"""Polygons of masks, which reproduce the masks when drawn.

The outlines run through the centres of the outermost pixels of a region. Programs that read
polygons of pixels (``cv2.fillPoly``, Pillow, and so Ultralytics, supervision and LabelMe) draw the
outline and fill it, which reproduces the region. A polygon has no holes: the outline of a hole is
therefore joined to the one around it by a bridge, a line inside the region that is passed twice.
"""
from collections import defaultdict

import cv2
import numpy as np

from mmseg_instbox.utils.run_lengths import Crop


def mask_polygons(mask: Crop) -> list[np.ndarray]:
    """Returns one polygon for each connected part (8 neighbours) of a mask.

    Returns:
        list[ndarray]: Each (P, 2) int64, x and y of pixels of the image, P >= 3, the largest part
        first; a part of a single pixel has its point three times. Empty for an empty mask.
    """
    if not mask.pixels.size:
        return []
    # OpenCV treats pixels outside the image as background: no border is needed.
    rings, links = cv2.findContours(mask.pixels.astype(np.uint8), cv2.RETR_CCOMP,
                                    cv2.CHAIN_APPROX_NONE, offset=(mask.left, mask.top))
    rings = [ring[:, 0].astype(np.int64) for ring in rings]
    holes = defaultdict(list)  # of each part, by its index
    for ring, (*_, part) in zip(rings, links[0], strict=True):
        holes[part].append(ring)
    parts = [_join_holes(rings[i], holes[i]) for i in range(len(rings)) if links[0, i, 3] < 0]
    return sorted(map(_simplify, parts), key=polygon_area, reverse=True)


def join_polygons(polygons: list[np.ndarray]) -> np.ndarray:
    """Joins one or more polygons (P, 2) to one (Q, 2), for formats with one per object.

    Each is joined to a near point of those before it by a bridge; a program that draws outlines
    draws the bridge, too, a line one pixel wide.
    """
    joined = polygons[0]
    for polygon in polygons[1:]:
        joined = _insert(joined, polygon, *_near_points(joined, polygon))
    return joined


def polygon_area(polygon: np.ndarray) -> float:
    """Area inside a polygon (P, 2) in square pixels; bridges count nothing."""
    x, y = polygon.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def _join_holes(ring: np.ndarray, holes: list[np.ndarray]) -> np.ndarray:
    """Joins the outlines of holes to that of their part, from left to right.

    From the leftmost pixel of a hole's outline, the region goes on to the left until it meets
    another outline: that of the part or of a hole farther left, which is joined already.
    """
    for hole in sorted(holes, key=lambda hole: hole[:, 0].min()):
        there = int(hole[:, 0].argmin())
        x, y = hole[there]
        to_the_left = np.where((ring[:, 1] == y) & (ring[:, 0] <= x), ring[:, 0], -1)
        ring = _insert(ring, hole, int(to_the_left.argmax()), there)
    return ring


def _insert(ring: np.ndarray, other: np.ndarray, here: int, there: int) -> np.ndarray:
    """Walks ``ring`` to its point ``here``, round ``other`` from its point ``there``, and back."""
    around = np.concatenate([other[there:], other[:there + 1]])
    return np.concatenate([ring[:here + 1], around, ring[here:]])


def _simplify(ring: np.ndarray) -> np.ndarray:
    """Drops the points (P, 2) at which a ring goes on as it came; repeats points until there are
    three, because readers take fewer for no polygon."""
    steps = np.roll(ring, -1, axis=0) - ring
    turns = (steps != np.roll(steps, 1, axis=0)).any(axis=1)
    turns[0] = True
    ring = ring[turns]
    return ring[np.arange(max(len(ring), 3)) % len(ring)]


def _near_points(ring: np.ndarray, other: np.ndarray) -> tuple[int, int]:
    """Indices of two points of which each is the nearest to the other, (P, 2) and (Q, 2)."""
    here, there, gap = 0, 0, np.inf
    while True:
        here = int(np.abs(ring - other[there]).max(axis=1).argmin())
        there = int(np.abs(other - ring[here]).max(axis=1).argmin())
        closer = np.abs(ring[here] - other[there]).max()  # pixels of a line between them
        if closer >= gap:
            return here, there
        gap = closer
