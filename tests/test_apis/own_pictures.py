"""Small annotated images."""
import json
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = dict(disc=(40, 40, 220), square=(220, 40, 40), star=(40, 200, 40))


def write_images(folder: Path, number: int, names=('disc', 'star'), size: int = 64) -> Path:
    """Images of one block of each category, and ``_annotations.coco.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    table = dict(images=[], annotations=[],
                 categories=[dict(id=10 + i, name=name) for i, name in enumerate(names)])
    for index in range(number):
        rng = np.random.default_rng(index)
        image = rng.integers(90, 120, (size, size, 3), dtype=np.uint8)
        table['images'].append(dict(id=index, file_name=f'{index}.png', width=size, height=size))
        for place, name in enumerate(names):
            x, y = 2 + place * 30 + int(rng.integers(0, 4)), int(rng.integers(5, 25))
            image[y:y + 24, x:x + 24] = COLOURS[name]
            add_object(table, index, 10 + place, (x, y, 24, 24))
        Image.fromarray(image).save(folder / f'{index}.png')
    (folder / '_annotations.coco.json').write_text(json.dumps(table))
    return folder


def add_object(table: dict, image: int, category: int, box: tuple) -> None:
    """Annotate a rectangle ``(x, y, width, height)``."""
    x, y, width, height = box
    table['annotations'].append(dict(
        id=len(table['annotations']) + 1, image_id=image, category_id=category, iscrowd=0,
        bbox=list(box), area=width * height,
        segmentation=[[x, y, x + width, y, x + width, y + height, x, y + height]]))
