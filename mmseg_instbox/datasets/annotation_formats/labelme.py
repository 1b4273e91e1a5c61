"""LabelMe's JSON files, one an image; shapes that share label and group id are one object."""
import base64
import io
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as mask_tools

from ...errors import InvalidInputError
from ...utils.run_lengths import Crop, encode_crop
from ..coco_masks import ellipse, fill_outlines, segmentation_rle
from .annotated_images import Annotations, is_size, number
from .images import ImageFinder

PIXEL_CENTRE = 0.5  # where the points of our own LabelMe files lie


def is_labelme(content: object) -> bool:
    """Whether the content of a JSON file is LabelMe's."""
    return isinstance(content, dict) and isinstance(content.get('shapes'), list)


def read_labelme(content: dict, file: str, part: Annotations, finder: ImageFinder) -> None:
    """Add the image and the objects of one ``file``, relative to the root. The image is the one
    that the file names, or the one of its own name if there is none or that lies beside it: scripts
    that copy files leave in them the name of another image."""
    path = PurePosixPath(file)
    folder, stem, name = str(path.parent), path.stem, content.get('imagePath')
    given = finder.find(name, folder, folder) if isinstance(name, str) else None
    if given is None or PurePosixPath(given).stem != stem:
        own = finder.find(stem, folder)
        if given is None:
            name = own or name or stem
        elif own not in (None, given) and PurePosixPath(own).parent == path.parent:
            part.report('file name', file, f'{name!r} is another image; {own} is taken.', own)
            name = own
    height, width = (number(content.get(key)) for key in ('imageHeight', 'imageWidth'))
    image = part.add_image(name, file, near=folder, height=height, width=width)
    size = (height, width) if is_size(width, height) else None
    objects: dict[Any, tuple[str, int, list]] = {}
    for position, shape in enumerate(content['shapes'], 1):
        shape = shape if isinstance(shape, dict) else {}
        kind, label = shape.get('shape_type') or 'polygon', shape.get('label')
        outline = _outline(shape, kind, size) if label else None
        if not outline:
            what = 'box only' if kind == 'rectangle' else 'no mask'
            part.report(what, file, f'shape {position} ({label!r}, {kind}) has no outline; left '
                        'out.')
            continue
        group = shape.get('group_id')
        key = position if group is None else (str(label), str(group))
        objects.setdefault(key, (str(label), position, []))[2].append(outline)
    for label, position, outlines in objects.values():
        part.add(image, label, _join(outlines, size), number=position)


def _outline(shape: dict, kind: str, size: tuple[int, int] | None) -> list | dict | None:
    """A polygon, or the run lengths of a mask in an image of a size (H, W); None if the shape is
    neither."""
    points = shape.get('points')
    try:
        if kind == 'circle':
            (x, y), edge = np.asarray(points, dtype=float)
            return ellipse(x, y, *[float(np.hypot(edge[0] - x, edge[1] - y))] * 2)
        if kind == 'mask':  # the PNG of its box
            with Image.open(io.BytesIO(base64.b64decode(shape['mask'])), formats=['PNG']) as image:
                crop = np.asarray(image) > 0
            left, top = (round(each) for each in points[0])
            fits = 0 <= left <= size[1] - crop.shape[1] and 0 <= top <= size[0] - crop.shape[0]
            return encode_crop(Crop(crop, left, top), size) if fits else None
    except Exception:  # a broken PNG or a mask that does not fit raise many types
        return None
    return points if kind in ('polygon', 'linestrip') and isinstance(points, list) else None


def _join(outlines: list, size: tuple[int, int] | None) -> list | dict:
    """The polygons and masks of an object as one segmentation."""
    polygons = [each for each in outlines if isinstance(each, list)]
    masks = [each for each in outlines if isinstance(each, dict)]
    if not masks:
        code = fill_outlines(polygons, PIXEL_CENTRE, size[::-1]) if size else None
        return code or polygons
    for each in polygons:
        with suppress(InvalidInputError):  # a broken polygon beside a mask
            masks.append(fill_outlines([each], PIXEL_CENTRE, size[::-1])
                         or segmentation_rle([each], size, ''))
    return dict(size=[*size], counts=mask_tools.merge(masks)['counts'].decode())
