"""Counts, hidden objects and drawings of annotated images, without torch."""
import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from ..datasets.annotation_formats import AnnotatedImages, Problem
from ..datasets.coco_masks import paint_owners, segmentation_rle
from ..errors import InstBoxError
from ..utils.decoding import read_image
from ..utils.file_names import file_name
from ..utils.run_lengths import decode_crop

AREAS = dict(small=32**2, medium=96**2, large=float('inf'))  # COCO's
MAX_PAINTED = 500  # images in which hidden objects are looked for,
MAX_PIXELS = 5e8  # and their pixels
NEARLY_ALL = 0.9  # the hidden part from which an object is a problem of its own
MENTIONED = 0.01  # the hidden part of a category from which a pair of categories is reported
MAX_DRAWN = 16  # samples, and images with each kind of problem
MAX_LINES = 10  # problems that are written above an image
MAX_SIDE = 1024  # of a drawing, in pixels
MAX_TEXTS = 300  # objects of a drawing with labels; those of more would hide the image


def describe_split(name: str, images: AnnotatedImages) -> Iterator[str]:
    """Lines on the images, sizes and categories of a split."""
    coco = images.coco
    sizes = Counter(f'{row["width"]} x {row["height"]}' for row in coco['images'])
    yield (f'{name}: {len(coco["images"]):,} images, {len(coco["annotations"]):,} objects of '
           f'{len(coco["categories"])} categories in {images.root}')
    more = f', and {len(sizes) - 5} other sizes' if len(sizes) > 5 else ''
    yield '  image sizes: ' + ', '.join(
        f'{size} ({count:,})' for size, count in sizes.most_common(5)) + more
    counts: dict[int, Counter] = defaultdict(Counter)
    for each in coco['annotations']:
        size = next(key for key, largest in AREAS.items() if each['area'] < largest)
        counts[each['category_id']].update(['objects', size])
    columns = ('objects', *AREAS)
    width = max([8, *(len(row['name']) for row in coco['categories'])])
    yield f'  {"category":{width}}' + ''.join(f'{key:>10}' for key in columns)
    for row in coco['categories']:
        count = counts[row['id']]
        yield f'  {row["name"]:{width}}' + ''.join(f'{count[key]:>10,}' for key in columns)


def find_hidden(images: AnnotatedImages) -> tuple[list[Problem], list[str]]:
    """Find what others cover, as each pixel has one instance, the smallest: the objects of which
    nearly all is hidden, and a line for each pair of categories of which one hides the other.

    Of more than ``MAX_PAINTED`` images or ``MAX_PIXELS`` pixels, so many are looked at, evenly
    spread.
    """
    by_image, rows = images.by_image(), images.coco['images']
    pixels = sum(row['width'] * row['height'] for row in rows)
    rows = rows[::max(1, math.ceil(len(rows) / MAX_PAINTED), math.ceil(pixels / MAX_PIXELS))]
    names = {row['id']: row['name'] for row in images.coco['categories']}
    total, lost, problems = Counter(), Counter(), []
    for row in rows:
        objects, shape = by_image[row['id']], (row['height'], row['width'])
        codes = [segmentation_rle(each['segmentation'], shape, '') for each in objects]
        owners = paint_owners(codes, [bool(each['iscrowd']) for each in objects], shape)
        for index, (each, code) in enumerate(zip(objects, codes, strict=True)):
            category = each['category_id']
            crop = decode_crop(code)
            seen = np.bincount(owners[crop.window][crop.pixels], minlength=index + 2)
            if each['iscrowd'] or not seen.sum():
                continue
            total[category] += seen.sum()
            hidden = 1 - seen[index + 1] / seen.sum()
            seen[index + 1] = 0
            for cover in np.flatnonzero(seen):
                lost[category, objects[cover - 1]['category_id']] += seen[cover]
            if hidden >= NEARLY_ALL:
                problems.append(Problem('hidden', row['file_name'], f'annotation {each["id"]} '
                                        f'({names[category]}) is hidden to {hidden:.0%} under '
                                        'others.', row['file_name']))
    lines = [f'{names[above]} hides {number / total[below]:.0%} of the pixels of {names[below]}'
             for (below, above), number in lost.most_common()
             if number >= MENTIONED * total[below]]
    return problems, lines


def draw_images(images: AnnotatedImages, out_dir: Path, split: str) -> int:
    """Draw the objects of some images into ``samples``, and of some for each kind of problem into
    ``problems/KIND``, as ``SPLIT_NAME.jpg``; returns the number of drawings."""
    from ..visualization.utils import write_image  # here, because counting starts fast
    rows = {row['file_name']: row for row in images.coco['images']}
    samples = [*rows][::max(1, len(rows) // MAX_DRAWN)][:MAX_DRAWN]
    chosen = [('samples', name, []) for name in samples]
    kinds: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for problem in images.problems:
        if problem.image in rows:
            kinds[problem.kind][problem.image].append(problem.message)
    for kind, messages in kinds.items():
        chosen += [(f'problems/{kind}', *each) for each in islice(messages.items(), MAX_DRAWN)]
    by_image = images.by_image()
    for folder, name, lines in chosen:
        drawing = _draw(images, rows[name], by_image[rows[name]['id']], lines)
        write_image(drawing, str(out_dir / folder / f'{file_name(f"{split}_{name}")}.jpg'))
    return len(chosen)


def _draw(images: AnnotatedImages, row: dict, objects: list[dict],
          lines: list[str]) -> np.ndarray:
    """Draws an image (H, W, 3) uint8 RGB with its objects, smaller ones above, under some text."""
    from ..visualization.drawing import draw_objects, put_name_above, to_canvas
    from ..visualization.predictions import ALPHA, MIN_SIZE, on_canvas
    try:
        image = read_image(images.root / row['file_name'])[..., ::-1]
    except InstBoxError:
        image = np.zeros((row['height'], row['width'], 3), np.uint8)
    shape, canvas = image.shape[:2], to_canvas(image, MIN_SIZE, MAX_SIDE)
    names = {each['id']: each['name'] for each in images.coco['categories']}
    objects = sorted(objects, key=lambda each: each['area'])
    codes = [segmentation_rle(each['segmentation'], shape, '') for each in objects]
    boxes = np.array([each['bbox'] for each in objects], float).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    texts = [f'{names[each["category_id"]]} {each["id"]}' for each in objects]
    found = on_canvas(codes, boxes, texts if len(texts) <= MAX_TEXTS else None, shape, canvas)
    drawing = draw_objects(canvas, found, ALPHA)
    for line in reversed(lines[:MAX_LINES]):
        drawing = put_name_above(drawing, line)
    return drawing
