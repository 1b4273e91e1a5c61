"""LabelMe's JSON files, one an image; shapes that share label and group id are one object."""
import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as mask_tools

from .annotated_images import Annotations, number
from .image_finder import ImageFinder


def is_labelme(content: object) -> bool:
    """Whether the content of a JSON file is LabelMe's."""
    return isinstance(content, dict) and isinstance(content.get('shapes'), list)


def read_labelme(content: dict, file: str, part: Annotations, finder: ImageFinder) -> None:
    """Add the image and the objects of one file.

    Args:
        content: The file's content.
        file: The file, relative to the root.
        part: What they are added to.
        finder: Finds the image: the one the file names, else the one of its own name.
    """
    folder, stem = str(Path(file).parent), Path(file).stem
    name = content.get('imagePath')
    name = name if isinstance(name, str) and finder.find(name, folder) else (
        finder.find(stem, folder) or name or stem)
    size = {key: number(content.get(f'image{key.title()}')) for key in ('width', 'height')}
    image = part.add_image(name, file, **size)
    objects: dict[Any, dict] = {}
    for position, shape in enumerate(content['shapes'], 1):
        kind = shape.get('shape_type') or 'polygon' if isinstance(shape, dict) else None
        label, group = (shape.get('label'), shape.get('group_id')) if kind else (None, None)
        segmentation = _outline(shape, kind, size) if kind and label else None
        if segmentation is None:
            what = 'box only' if kind == 'rectangle' else 'no mask'
            part.report(what, file, f'shape {position} ({label!r}, {kind}) has no outline; left '
                        'out.')
            continue
        key = position if group is None else (label, group)
        known = objects.setdefault(key, dict(label=str(label), parts=[], number=position))
        if isinstance(segmentation, dict):
            known['code'] = segmentation
        else:
            known['parts'].append(segmentation)
    for each in objects.values():
        part.add(image, each['label'], each.get('code') or each['parts'], number=each['number'])


def _outline(shape: dict, kind: str, size: dict) -> list | dict | None:
    """A polygon or a run-length encoding; None if the shape is neither."""
    points = shape.get('points')
    if kind == 'circle':
        try:
            (x, y), edge = np.asarray(points, dtype=float)
        except (TypeError, ValueError):
            return None
        return circle(x, y, *[float(np.hypot(edge[0] - x, edge[1] - y))] * 2)
    if kind == 'mask':
        return _mask(shape, size)
    closed = kind in ('polygon', 'linestrip') and isinstance(points, list)
    return points if closed and points else None


def circle(x: float, y: float, radius_x: float, radius_y: float) -> list[float]:
    """A polygon for an ellipse."""
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    points = np.stack([x + radius_x * np.cos(angles), y + radius_y * np.sin(angles)], axis=1)
    return points.ravel().tolist()


def _mask(shape: dict, size: dict) -> dict | None:
    """The run-length encoding of a mask, which LabelMe stores as the PNG of its box."""
    try:
        with Image.open(io.BytesIO(base64.b64decode(shape['mask'])), formats=['PNG']) as image:
            crop = np.asarray(image) > 0
        left, top = (round(each) for each in shape['points'][0])
        mask = np.zeros((size['height'], size['width']), np.uint8, order='F')
        mask[top:top + crop.shape[0], left:left + crop.shape[1]] = crop
    except Exception:  # a broken PNG or a mask that does not fit raise many types
        return None
    code = mask_tools.encode(mask)
    return dict(size=[*map(int, code['size'])], counts=code['counts'].decode())
