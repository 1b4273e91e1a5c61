"""Measure the polygons of many annotations at once."""
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np

from ...errors import InvalidInputError
from ..coco_masks import read_polygons

BATCH = 1000  # annotations whose polygons are measured at once
# polygons, their box (x1, y1, x2, y2) and the sum of their areas
Outline = tuple[list[list[float]], list[float], float]


def take_measured(rows: list) -> Iterator[tuple[Any, Outline | None]]:
    """Take the rows of annotations out of a table, or a large file would need its memory twice.

    Yields:
        tuple: A row and what is measured of its polygons; None if there are no polygons or they
        need a closer look.
    """
    for start in range(0, len(rows), BATCH):
        batch = rows[start:start + BATCH]
        rows[start:start + BATCH] = [None] * len(batch)
        outlines = [_plain_polygons(row) for row in batch]
        measured = measure_outlines([each for each in outlines if each])
        for row, outline in zip(batch, outlines, strict=True):
            yield row, next(measured) if outline else None


def _plain_polygons(row: Any) -> list[list[float]] | None:
    """The polygons of a row, all of three points or more; None if there is anything else."""
    segmentation = row.get('segmentation') if isinstance(row, dict) else None
    if not isinstance(segmentation, list) or not segmentation:
        return None
    try:
        polygons = read_polygons(segmentation, '')
    except InvalidInputError:  # is raised again where it can be reported
        return None
    return polygons if min(map(len, polygons)) >= 6 else None


def measure_outlines(outlines: Sequence[list[list[float]]]) -> Iterator[Outline]:
    """Measure the polygons of objects, those of all objects at once."""
    if not outlines:
        return iter(())
    polygons = [*chain.from_iterable(outlines)]
    points = np.fromiter(chain.from_iterable(polygons), float).reshape(-1, 2)
    ends = np.cumsum([len(each) // 2 for each in polygons])
    starts = np.append(0, ends[:-1])
    following = np.roll(points, -1, axis=0)
    following[ends - 1] = points[starts]
    twice = points[:, 0] * following[:, 1] - following[:, 0] * points[:, 1]
    areas = np.abs(np.add.reduceat(twice, starts)) / 2
    firsts = np.cumsum([0, *map(len, outlines[:-1])])  # polygon of each object
    boxes = np.hstack([extreme.reduceat(points, starts[firsts])
                       for extreme in (np.minimum, np.maximum)])
    return zip(outlines, boxes.tolist(), np.add.reduceat(areas, firsts).tolist(), strict=True)


def turn_polygon(polygon: list[float], orientation: int, size: tuple[int, int]) -> list[float]:
    """A polygon of the stored image of a size (width, height) on the image as shown."""
    (x, y), (width, height) = np.reshape(polygon, (-1, 2)).T, size
    turned = {5: (y, x), 6: (height - y, x), 7: (height - y, width - x), 8: (y, width - x)}
    return np.stack(turned[orientation], axis=1).ravel().tolist()
