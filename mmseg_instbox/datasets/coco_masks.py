"""Segmentations of COCO's format as masks, masks of many objects as maps, and the way back."""
import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as mask_tools

from ..errors import InvalidInputError
from ..utils.run_lengths import Crop, decode_crop, decompress_counts, encode_crop
from .instance_maps import VOID, object_boxes

# pycocotools walks along a polygon in steps of a fifth of a pixel, and keeps each of them
MAX_COORDINATE = 1e6
MAX_OUTLINE = 4e6
ON_GRID = 1e-3  # pixels that rounding may move a point by


def segmentation_rle(segmentation: list | dict, shape: tuple[int, int], where: str) -> dict:
    """Run-length encode a segmentation as pycocotools does: compressed, ``size`` and ``counts``.

    Args:
        segmentation: Polygons, each ``[x1, y1, x2, y2, ...]``; or a run-length encoding with
            ``size`` and ``counts``, a list or a compressed string.
        shape: (H, W) of the image.
        where: File and annotation, for the error message.

    Raises:
        ValueError: If a polygon has fewer than three points or an odd number of coordinates, a
            coordinate is not finite or far outside, or an encoding is broken or of another size.
    """
    if isinstance(segmentation, list):
        polygons = read_polygons(segmentation, where)
        if min(map(len, polygons)) < 6:
            raise InvalidInputError(f'{where}: a polygon has fewer than three points. Correct or '
                                    'remove the annotation.')
        return mask_tools.merge(mask_tools.frPyObjects(polygons, *shape))
    if segmentation.get('size') not in (list(shape), tuple(shape)):
        raise InvalidInputError(f'{where}: the RLE has size {segmentation.get("size")} (height, '
                                f'width), but its image is {list(shape)}. Correct the annotation.')
    counts = segmentation.get('counts')
    counts = counts.decode('latin-1') if isinstance(counts, bytes) else counts
    runs = decompress_counts(counts) if isinstance(counts, str) else counts
    fits = isinstance(runs, list) and all(type(run) is int and run >= 0 for run in runs)
    if not fits or sum(runs) != shape[0] * shape[1]:  # pycocotools would decode some of them
        raise InvalidInputError(f'{where}: the counts of the RLE are broken or do not fill its '
                                f'{shape[0]} x {shape[1]} pixels (height x width). Correct the '
                                'annotation.')
    return mask_tools.frPyObjects(dict(size=list(shape), counts=runs), *shape)


def read_polygons(segmentation: list, where: str) -> list[list[float]]:
    """The coordinates x1, y1, x2, y2, ... of each polygon, whose points may be nested in any way.

    Raises:
        ValueError: If a polygon has other things than finite numbers in pairs, a coordinate is far
            outside, or the outlines are absurdly long.
    """
    first = segmentation[0] if segmentation else None
    nested = isinstance(first, list | tuple)
    if nested and len(first) == 2 and isinstance(first[0], int | float):
        # points instead of polygons, as scripts write them
        nested = not all(isinstance(each, list | tuple) and len(each) == 2 for each in segmentation)
    polygons, longest = [], 0.
    # without NumPy, which takes longer for the few points of most polygons
    for polygon in segmentation if nested else [segmentation]:
        try:
            norm = math.hypot(*polygon)  # no coordinate is larger
        except (TypeError, OverflowError):  # no list of numbers
            polygon = _flatten(polygon)
            norm = math.hypot(*polygon)
        if len(polygon) % 2:
            raise InvalidInputError(f'{where}: a polygon has {len(polygon)} coordinates, expected '
                                    'x and y of three points or more. Correct or remove the '
                                    'annotation.')
        if not math.isfinite(norm) or (
                norm > MAX_COORDINATE and max(map(abs, polygon)) > MAX_COORDINATE):
            raise InvalidInputError(f'{where}: a polygon has coordinates that are no finite '
                                    f'numbers, or beyond {MAX_COORDINATE:,.0f} pixels. Correct or '
                                    'remove the annotation.')
        polygons.append(polygon)
        longest += 2 * math.sqrt(len(polygon)) * norm  # in any order of points (Cauchy-Schwarz)
    if longest > MAX_OUTLINE:
        outlines = [np.reshape(polygon, (-1, 2)) for polygon in polygons if polygon]
        length = sum(np.abs(each - np.roll(each, 1, axis=0)).max(axis=1).sum() for each in outlines)
        if length > MAX_OUTLINE:
            raise InvalidInputError(f'{where}: the outline is {length:,.0f} pixels long, more than '
                                    f'{MAX_OUTLINE:,.0f}. Correct or remove the annotation.')
    return polygons


def _flatten(polygon: Any) -> list[float]:
    """The numbers of nested lists, which may be text; nan for other things."""
    try:
        return np.asarray(polygon, dtype=float).ravel().tolist()
    except (TypeError, ValueError, OverflowError):
        return [math.nan, math.nan]


def ellipse(x: float, y: float, radius_x: float, radius_y: float, angle: float = 0) -> list[float]:
    """A polygon of 64 points for an ellipse, turned by an angle in radians."""
    turns = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    across, along = radius_x * np.cos(turns), radius_y * np.sin(turns)
    cos, sin = np.cos(angle), np.sin(angle)
    points = np.stack([x + across * cos - along * sin, y + across * sin + along * cos], axis=1)
    return points.ravel().tolist()


def fill_outlines(polygons: list, offset: float, size: tuple[int, int]) -> dict | None:
    """Encode the mask (``size``, width and height) whose outermost pixels polygons go through, as
    those that this package writes; read as outlines, they would lose half a pixel on each side.

    Returns None for other polygons, whose points do not all lie at ``offset`` in a pixel.
    """
    try:
        outlines = [np.reshape(each, (-1, 2)) - offset for each in read_polygons(polygons, '')]
    except InvalidInputError:
        return None
    if min(map(len, outlines)) < 3 or any(
            np.abs(each - np.rint(each)).max() > ON_GRID for each in outlines):
        return None
    pixels = [np.rint(each).astype(np.int32) for each in outlines]
    every = np.concatenate(pixels)
    left, top = np.clip(every.min(axis=0), 0, size).tolist()
    right, bottom = np.clip(every.max(axis=0) + 1, (left, top), size).tolist()
    mask = np.zeros((bottom - top, right - left), np.uint8)
    for each in pixels if mask.size else ():  # not beyond the image
        cv2.fillPoly(mask, [each], 1, offset=(-left, -top))
    return encode_crop(Crop(mask.view(bool), left, top), size[::-1])


def object_id(position: int) -> int:
    """The id of an image's object at a position from 0: 1, 2, ..., without 255."""
    return position + 1 if position + 1 < VOID else position + 2


def paint_objects(objects: Sequence[dict], shape: tuple[int, int], background: int,
                  thing_ids: Sequence[int], where: str) -> tuple[np.ndarray, np.ndarray]:
    """Paint objects, a smaller over a larger one, crowds below all.

    Args:
        objects: Of each ``id`` of the annotation, ``category`` (255 for void), ``crowd`` and
            ``segmentation``. A crowd is void in both maps.
        shape: (H, W) of the image.
        background: Category of the pixels of no object.
        thing_ids: The categories that have instances; pixels of others get the id 0.
        where: The file, for the error message.

    Returns:
        Category map (H, W) uint8 and instance map (H, W) int32, with the ids of
        :func:`object_id`. Errors are those of :func:`segmentation_rle`.
    """
    rles = [segmentation_rle(each['segmentation'], shape, f'{where}: annotation {each["id"]}')
            for each in objects]
    owners = paint_owners(rles, [each['crowd'] for each in objects], shape)
    categories, ids = [background], [0]
    for position, each in enumerate(objects):
        category = VOID if each['crowd'] else each['category']
        known = VOID if category == VOID else 0
        categories.append(category)
        ids.append(object_id(position) if category in thing_ids else known)
    return np.array(categories, np.uint8)[owners], np.array(ids, np.int32)[owners]


def paint_owners(rles: Sequence[dict], crowds: Sequence[bool],
                 shape: tuple[int, int]) -> np.ndarray:
    """Which object each pixel shows, from 1, or 0 for none: (H, W) int32.

    A smaller object lies over a larger one, and crowds (``crowds``, one a run-length encoding) lie
    below all.
    """
    areas = [int(mask_tools.area(rle)) for rle in rles]
    owners = np.zeros(shape, np.int32)
    for i in sorted(range(len(rles)), key=lambda i: (not crowds[i], -areas[i])):
        crop = decode_crop(rles[i])
        owners[crop.window][crop.pixels] = i + 1
    return owners


def describe_object(rle: dict, label: int, crowd: int = 0, area: float | None = None) -> dict:
    """Describe an object as mmdet's ``CocoMetric`` takes it from ``instances`` of a data sample:
    ``bbox`` (list, x1, y1, x2, y2), ``bbox_label``, ``mask``, ``ignore_flag`` and ``area``.

    Args:
        rle: Compressed run-length encoding of its mask.
        label: Index into ``thing_classes``.
        crowd: 1 for a crowd.
        area: In pixels; by default that of the mask.
    """
    x, y, width, height = mask_tools.toBbox(rle).tolist()
    area = int(mask_tools.area(rle)) if area is None else area
    return dict(bbox=[x, y, x + width, y + height], bbox_label=int(label), ignore_flag=int(crowd),
                area=area, mask=dict(size=list(rle['size']), counts=rle['counts'].decode()))


def describe_objects(inst_map: np.ndarray, ids: np.ndarray, labels: np.ndarray) -> list[dict]:
    """Describe N objects of an instance map (H, W), see :func:`describe_object`.

    ``ids`` and ``labels``, indices into ``thing_classes``, are (N,).
    """
    known, corners = object_boxes(inst_map)
    boxes = dict(zip(known.tolist(), corners.astype(int).tolist(), strict=True))
    found = []
    for number, label in zip(ids.tolist(), labels, strict=True):
        # an object's box alone: whole masks take seconds where large images hold many objects
        left, top, right, bottom = boxes.get(number, (0, 0, 0, 0))
        code = encode_crop(Crop(inst_map[top:bottom, left:right] == number, left, top),
                           inst_map.shape)
        found.append(describe_object(dict(code, counts=code['counts'].encode()), label))
    return found
