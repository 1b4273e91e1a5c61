"""Instances as polygons: JSON of LabelMe, and text files of YOLO's segmentation programs.

The polygons reproduce the masks when drawn. The outlines run through the centres of the outermost
pixels of a region. Programs that read polygons of pixels (``cv2.fillPoly``, Pillow, and so
Ultralytics, supervision and LabelMe) draw the outline and fill it, which reproduces the region. A
polygon has no holes: the outline of a hole is therefore joined to the one around it by a bridge, a
line inside the region that is passed twice.
"""
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from ...utils import atomic_write, write_json
from ...utils.run_lengths import Crop, mask_crops
from .result_writer import Instances, ResultWriter

LABELME_VERSION = '5.5.0'  # the version whose keys are written
PIXEL_CENTRE = 0.5
# YOLO readers round or truncate after multiplying by the size; both then give the same pixel.
INSIDE_PIXEL = 0.25


class LabelMeWriter(ResultWriter):
    """Writes ``NAME.json`` for each image, with the image's path relative to this file; without a
    path, ``NAME.png`` beside it.

    There is a shape for each connected part of an instance. ``group_id`` numbers the instances from
    1; ``points`` are centres of pixels, from (0.5, 0.5) on, in the outline; a hole is joined to it
    by a bridge; ``description`` holds the score.
    """

    def _write(self, sample: Any, instances: Instances, name: str, image_file: str | None) -> None:
        path = self.out_dir / f'{name}.json'
        image_path = image_file or f'{path.stem}.png'
        if image_file is not None and '://' not in image_file:
            image_path = os.path.relpath(image_file, path.parent).replace(os.sep, '/')
        height, width = instances.shape
        found = zip(mask_crops(instances.masks), instances.labels, instances.scores, strict=True)
        shapes = [dict(label=self.categories.thing_classes[label],
                       points=(polygon + PIXEL_CENTRE).tolist(), group_id=number,
                       description=f'score {score:.3f}', shape_type='polygon', flags={}, mask=None)
                  for number, (crop, label, score) in enumerate(found, start=1)
                  for polygon in mask_polygons(crop)]
        write_json(dict(version=LABELME_VERSION, flags={}, shapes=shapes, imagePath=image_path,
                        imageData=None, imageHeight=height, imageWidth=width), path)


class YoloWriter(ResultWriter):
    """Writes ``labels/NAME.txt`` for each image, and ``data.yaml`` with the names of the thing
    categories and ``images`` as the folder for the images.

    A line is an instance: index into ``thing_classes``, and x and y of a polygon as fractions of
    width and height. It is one polygon, as in Ultralytics' own conversion: parts and holes are
    joined by bridges (:func:`join_polygons`).
    """

    def _write(self, sample: Any, instances: Instances, name: str, image_file: str | None) -> None:
        size, text = np.array(instances.shape[::-1]), ''
        for label, crop in zip(instances.labels, mask_crops(instances.masks), strict=True):
            polygon = (join_polygons(mask_polygons(crop)) + INSIDE_PIXEL) / size
            text += ' '.join([str(label), *(f'{value:.7f}' for value in polygon.ravel())]) + '\n'
        atomic_write(text.encode(), self.out_dir / 'labels' / f'{name}.txt')

    def _finish(self) -> Path:
        content = dict(train='images', val='images',
                       names=dict(enumerate(self.categories.thing_classes)))
        text = yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
        return atomic_write(text.encode(), self.out_dir / 'data.yaml')


def mask_polygons(mask: Crop) -> list[np.ndarray]:
    """Returns one polygon for each connected part (8 neighbours) of a mask.

    Returns:
        list[ndarray]: Each (P, 2) int32, x and y of pixels of the image, P >= 3, the largest part
        first; a part of a single pixel has its point three times. Empty for an empty mask.
    """
    if not mask.pixels.size:
        return []
    # OpenCV treats pixels outside the image as background: no border is needed.
    rings, links = cv2.findContours(mask.pixels.astype(np.uint8), cv2.RETR_CCOMP,
                                    cv2.CHAIN_APPROX_NONE, offset=(mask.left, mask.top))
    rings = [ring[:, 0] for ring in rings]
    holes = defaultdict(list)  # of each part, by its index
    for ring, (*_, part) in zip(rings, links[0], strict=True):
        holes[part].append(ring)
    parts = [_join_holes(rings[i], holes[i]) for i in range(len(rings)) if links[0, i, 3] < 0]
    return sorted(map(_simplify, parts), key=cv2.contourArea, reverse=True)


def join_polygons(polygons: list[np.ndarray]) -> np.ndarray:
    """Joins one or more polygons (P, 2) to one (Q, 2), for formats with one per object.

    Each is joined to a near point of those before it by a bridge; a program that draws outlines
    draws the bridge, too, a line one pixel wide.
    """
    joined = polygons[0]
    for polygon in polygons[1:]:
        joined = _insert(joined, polygon, *_near_points(joined, polygon))
    return joined


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
