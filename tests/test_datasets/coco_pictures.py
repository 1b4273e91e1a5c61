"""A small data set in COCO's format, and the real one where it is at hand."""
import json
import os
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools import mask as mask_tools

DATA = Path(os.environ.get('INSTBOX_DATA', Path(__file__).parents[3] / 'shared' / 'data'))
COCO_TINY = DATA / 'coco_tiny'
PIPELINE = [dict(type=name) for name in ('LoadInstImage', 'LoadInstAnnotations', 'PackInstInputs')]
CATEGORIES = {3: 'cell', 7: 'dust', 90: 'spore'}
HEIGHT, WIDTH = 40, 60


def rectangle(x1, y1, x2, y2):
    """A polygon that covers these pixels."""
    return [x1, y1, x2, y1, x2, y2, x1, y2]


def rle(*boxes, compressed=True, shape=(HEIGHT, WIDTH)):
    """The run-length encoding of some boxes, as COCO stores it in JSON."""
    mask = np.zeros(shape, np.uint8)
    for x1, y1, x2, y2 in boxes:
        mask[y1:y2, x1:x2] = 1
    if compressed:
        encoded = mask_tools.encode(np.asfortranarray(mask))
        return dict(encoded, counts=encoded['counts'].decode())
    flat = mask.ravel(order='F').astype(int)
    starts = np.flatnonzero(np.diff(flat, prepend=0, append=-1))
    return dict(size=list(shape), counts=np.diff(starts, prepend=0).tolist())


def annotation(number, image, category, segmentation, crowd=0):
    return dict(id=number, image_id=image, category_id=category, iscrowd=crowd,
                segmentation=segmentation, area=1.0, bbox=[0, 0, 1, 1])


def content():
    """Image 11 holds all kinds of annotations, image 12 none, image 4 one object of each kind."""
    annotations = [
        annotation(1, 11, 3, [rectangle(2, 2, 12, 12)]),
        annotation(2, 11, 90, [rectangle(20, 5, 24, 30), rectangle(30, 5, 34, 30)]),
        annotation(3, 11, 3, rle((22, 10, 32, 14))),
        annotation(4, 11, 90, rle((40, 0, 60, 40), compressed=False), crowd=1),
        annotation(5, 11, 3, rle((50, 10, 55, 15), compressed=False)),
        annotation(6, 11, 7, [rectangle(4, 4, 8, 8)]),
        annotation(7, 4, 90, [rectangle(1, 1, 9, 9)]),
        annotation(8, 4, 3, [rectangle(20, 20, 31, 33)]),
        annotation(9, 4, 7, [rectangle(40, 20, 51, 33)])]
    images = [dict(id=number, file_name=f'{number:012d}.jpg', height=HEIGHT, width=WIDTH)
              for number in (11, 12, 4)]
    categories = [dict(id=number, name=name, supercategory='thing')
                  for number, name in CATEGORIES.items()]
    return dict(info={}, licenses=[], images=images, annotations=annotations,
                categories=categories)


def write(root, table):
    """Write the JSON and noise for its images below a folder."""
    (root / 'annotations').mkdir(parents=True, exist_ok=True)
    (root / 'annotations' / 'instances.json').write_text(json.dumps(table))
    (root / 'images').mkdir(exist_ok=True, parents=True)
    rng = np.random.default_rng(0)
    for image in table['images']:
        picture = rng.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        Image.fromarray(picture).save(root / 'images' / image['file_name'])
    return root
