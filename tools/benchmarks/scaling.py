"""Time and memory over image size, objects, categories and images.

Images are generated: overlapping ellipses in rows, with the true boxes of their cells (stride 8),
blurred across objects and disturbed. Grouping on the feature grid and drawing masks are measured
over one axis each while the others stay; the objects of "dense images" grow with their pixels. Then
evaluation with COCO's figures, over images and over categories, and reading and checking a COCO
JSON with as many objects an image, and bytes an object, as that of COCO's train2017. Times are of
the processor, on one thread, the fastest of a few calls; memory is the most that a call took beyond
what was there. An exponent of 1 means that cost is proportional, 2 that it is quadratic; it is that
of the two largest values of an axis. The last figure is of the whole call of a grouper without a
category map, as mmseg's API makes it. It needs Linux.
"""
import ctypes
import itertools
import json
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import grouping
import numpy as np
import torch
from mmengine.evaluator import Evaluator
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample
from support import common

from mmseg_instbox.core.pixel_box_grouper import PixelBoxGrouper
from mmseg_instbox.datasets import read_annotations
from mmseg_instbox.datasets.instance_maps import VOID
from mmseg_instbox.datasets.shapes_generator import generate_sample
from mmseg_instbox.evaluation import InstBoxMetric, InstCocoMetric

STRIDE, DENSE = 8, 'dense images'
SIZES = (256, 512, 1024, 2048, 4096)
CATEGORIES = (2, 10, 100, 1000)
# the largest exponents of grouping; IoUs of all pairs of candidates are quadratic in the objects
LIMITS = dict(px=1.2, objects=1.5, categories=1.2)
DENSITY = 30 / 1024**2  # objects a pixel in dense images
READ, COCO_OBJECTS, COCO_POINTS = 'annotated images', 7.3, 24  # objects an image, points of each
PATIENCE = 1000  # milliseconds above which a call is not repeated
SIDE = 222  # pixels, of images to evaluate


class Axis(NamedTuple):
    """What grows, and what measures a row at one of its values; cost is over value**power."""
    title: str
    unit: str
    values: Sequence[int]
    measure: Callable[[int], dict[str, float]]
    power: int = 1


def make_steps(shape: tuple[int, int], num_objects: int,
               num_categories: int) -> tuple[Callable[..., Any], ...]:
    """Returns the steps of :func:`grouping.steps` for an image of (H, W) pixels with ellipses in
    rows; categories take turns."""
    height, width = shape
    columns = math.ceil(math.sqrt(num_objects))
    rows = math.ceil(num_objects / columns)
    inst_map = np.zeros(shape, np.int32)
    for index in range(num_objects):
        centre = [round((index % columns + 0.5) * width / columns),
                  round((index // columns + 0.5) * height / rows)]
        axes = [max(round(each), 1) for each in (0.55 * width / columns, 0.45 * height / rows)]
        number = index + 1 + (index >= 254)  # 255 is void
        cv2.ellipse(inst_map, centre, axes, 0, 0, 360, number, -1)
    seg_map = np.where(inst_map > 0, 1 + inst_map % (num_categories - 1), 0).astype(np.int32)
    scene = grouping.make_scene(seg_map, inst_map, STRIDE)
    boxes = grouping.disturb(scene, 1.5, 0.1, np.random.default_rng(0))
    return grouping.steps(PixelBoxGrouper(), scene, boxes, num_categories)


def measure_grouping(size: int, num_objects: int, num_categories: int,
                     repeats: int) -> dict[str, float]:
    """Measures milliseconds and MiB of grouping the cells of an image and drawing their masks."""
    group, draw, _ = make_steps((size, size), num_objects, num_categories)
    grid, groups = measure(group, repeats)
    masks, found = measure(lambda: draw(groups), repeats)
    return dict(objects=num_objects, found=len(found), grid_ms=grid[0], masks_ms=masks[0],
                grid_MiB=grid[1], masks_MiB=masks[1])


def make_prediction(index: int, num_things: int) -> SegDataSample:
    """Makes a generated image's data sample as a segmentor gives it.

    Its 1 to 8 objects are of ``num_things`` categories (254 at most are used); predicted are the
    halves of the objects, moved by some pixels.
    """
    rng = np.random.default_rng([0, index])
    inst_map = generate_sample(0, 0, index, SIDE)[2].astype(np.int32)
    categories = rng.integers(1, min(num_things, VOID - 1) + 1, VOID + 1)  # of each id
    categories[[0, VOID]] = 0, VOID
    sample = common.truth(categories[inst_map], inst_map)

    moved = np.roll(np.where(inst_map == VOID, 0, inst_map), rng.integers(-4, 5, 2), (0, 1))
    halves = moved * 2 + (moved > 0) * (np.arange(SIDE) >= SIDE // 2)
    kept = np.unique(halves)[1:]
    sample.pred_sem_seg = PixelData(data=torch.from_numpy(categories[moved])[None])
    sample.pred_instances = InstanceData(
        masks=torch.from_numpy(halves == kept[:, None, None]),
        labels=torch.from_numpy(categories[kept // 2] - 1),
        scores=torch.from_numpy(rng.random(len(kept), dtype=np.float32)))
    return sample


def measure_evaluation(num_images: int, num_categories: int) -> dict[str, float]:
    """Measures seconds and MiB of all images and of the figures, on generated predictions.

    24 images are used in turn, so that many need little memory.
    """
    scenes = [make_prediction(index, num_categories - 1) for index in range(min(24, num_images))]
    evaluator = Evaluator([InstBoxMetric(), InstCocoMetric()])
    classes = ('background', *(f'thing {index}' for index in range(1, num_categories)))
    evaluator.dataset_meta = dict(classes=classes, thing_classes=classes[1:])

    def process() -> None:
        for number, scene in zip(range(num_images), itertools.cycle(scenes)):
            scene.set_metainfo(dict(img_id=number, img_path=f'{number}.jpg'))
            evaluator.process([scene])

    images, _ = measure(process, 1)
    figures, _ = measure(lambda: evaluator.evaluate(num_images), 1)
    return dict(images_s=images[0] / 1e3, figures_s=figures[0] / 1e3, images_MiB=images[1],
                figures_MiB=figures[1])


def write_coco(folder: Path, num_images: int) -> None:
    """Writes a COCO JSON of ellipses in images, all of which are links to one photograph."""
    photograph = common.SAMPLES / 'chelsea.jpg'
    height, width = cv2.imread(str(photograph)).shape[:2]
    angles = np.linspace(0, 2 * math.pi, COCO_POINTS, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], 1)
    rng = np.random.default_rng(0)
    images = []
    with (folder / 'instances_train.json').open('w') as file:
        file.write('{"annotations": [')
        for number in range(1, round(COCO_OBJECTS * num_images) + 1):
            centre, radii = rng.uniform(.2, .8, 2) * (width, height), rng.uniform(9, 90, 2)
            points = np.round(circle * radii + centre, 2).ravel().tolist()
            row = dict(id=number, image_id=number % num_images, category_id=number % 80 + 1,
                       segmentation=[points], area=math.pi * radii.prod(), iscrowd=0,
                       bbox=[*(centre - radii), *(2 * radii)])
            file.write(',' * (number > 1) + json.dumps(row))
        for number in range(num_images):
            name = f'{number:012d}.jpg'
            (folder / name).symlink_to(photograph)
            images.append(dict(id=number, file_name=name, width=width, height=height))
        categories = [dict(id=number, name=f'thing {number}') for number in range(1, 81)]
        file.write(f'], "images": {json.dumps(images)}, "categories": {json.dumps(categories)}}}')


def measure_reading(num_images: int) -> dict[str, float]:
    """Measures seconds and MiB of reading and checking the annotations of images."""
    with tempfile.TemporaryDirectory() as folder:
        write_coco(Path(folder), num_images)
        (milliseconds, grown), parts = measure(lambda: read_annotations(folder), 1)
    assert len(parts['train'].coco['images']) == num_images
    return dict(read_s=milliseconds / 1e3, read_MiB=grown)


def measure(work: Callable[[], Any], repeats: int) -> tuple[tuple[float, float], Any]:
    """Returns milliseconds of the fastest call and MiB that the first one took; and its result."""
    ctypes.CDLL(None).malloc_trim(0)  # or freed memory would hide what is taken next
    Path('/proc/self/clear_refs').write_text('5')  # the peak starts again from here
    before, times, grown = common.peak_memory(), [], None
    while len(times) < repeats and max(times, default=0) <= PATIENCE:
        begin = time.process_time()
        result = work()
        times.append((time.process_time() - begin) * 1e3)
        if grown is None:
            grown = max(common.peak_memory() - before, 0.)
    return (min(times), grown), result


def make_axes(repeats: int) -> list[Axis]:
    """Makes the axes, the one with the most important figures first."""
    return [
        Axis(DENSE, 'px', SIZES, lambda size: measure_grouping(
            size, max(round(DENSITY * size**2), 1), 21, repeats), 2),
        Axis('image size, 30 objects', 'px', SIZES,
             lambda size: measure_grouping(size, 30, 21, repeats), 2),
        Axis('objects, 1,024 px', 'objects', (1, 3, 10, 30, 100, 300),
             lambda number: measure_grouping(1024, number, 21, repeats)),
        Axis('categories, 512 px', 'categories', CATEGORIES,
             lambda number: measure_grouping(512, 30, number, repeats)),
        Axis('evaluation, 20 categories', 'images', (100, 1000, 10000),
             lambda number: measure_evaluation(number, 21)),
        Axis('evaluation, 1,000 images', 'categories', CATEGORIES,
             lambda number: measure_evaluation(1000, number)),
        Axis(READ, 'images', (1000, 10000, 100000), measure_reading),
    ]


def exponents(axis: Axis, rows: Sequence[dict]) -> dict[str, Any]:
    """Makes a row with the exponent of each figure between the two largest values of an axis."""
    one, other = rows[-2:]
    step = math.log(axis.values[len(rows) - 1] / axis.values[len(rows) - 2]) * axis.power
    return dict(axis=axis.title, between=f'{one["at"]} and {other["at"]}') | {
        key: math.log(other[key] / one[key]) / step if one[key] and other[key] else None
        for key in one if key.endswith(('_ms', '_s', '_MiB'))}


def figures(measured: Sequence[tuple[Axis, list[dict]]]) -> Iterator[common.Figure]:
    """Yields figures of dense images and of reading, and exponents of grouping over each axis."""
    for axis, rows in measured:
        last, growth = rows[-1], exponents(axis, rows)
        if axis.title == DENSE:
            where = f'masks of a dense image, {last["at"]}, {last["objects"]} objects'
            yield common.Figure(where, last['masks_ms'], 'ms', at_most=1500.)
            yield common.Figure(f'{where}: memory', last['masks_MiB'], 'MiB',
                                at_most=500e6 / common.MIB)
            yield common.Figure('masks over dense images: exponent', growth['masks_ms'],
                                at_most=1.1)
        if axis.title == READ:
            where = f'reading the annotations of {last["at"]}'
            yield common.Figure(where, last['read_s'], 's', at_most=60.)
            yield common.Figure(f'{where}: memory', last['read_MiB'], 'MiB',
                                at_most=3e9 / common.MIB)
        if 'grid_ms' in last:
            yield common.Figure(f'grouping over {axis.title}: exponent', growth['grid_ms'],
                                at_most=LIMITS[axis.unit])


def main() -> None:
    parser = common.make_parser(__doc__, 'scaling', repeats=5, device=False)
    parser.add_argument('--axes', nargs='+', metavar='NAME', default=[''],
                        help='those that begin with a NAME; all by default')
    parser.add_argument('--limit', type=int, help='leave out values above')
    parser.set_defaults(threads=1)
    args = common.parse(parser, quick=dict(axes=['dense'], limit=512))
    cv2.setNumThreads(0)
    measured = []
    for axis in make_axes(args.repeats):
        values = [value for value in axis.values if value <= (args.limit or value)]
        if len(values) > 1 and axis.title.startswith(tuple(args.axes)):
            measured.append((axis, [dict(axis=axis.title, at=f'{value} {axis.unit}')
                                    | axis.measure(value) for value in values]))
            print(f'{axis.title}: done', flush=True)
    tables = {title: [row for _, rows in measured for row in rows if key in row]
              for title, key in (('Grouping and masks', 'grid_ms'), ('Evaluation', 'images_s'),
                                ('Reading annotations', 'read_s'))}
    (called, _), _ = measure(make_steps((424, 640), 10, 21)[2], args.repeats)
    whole = common.Figure('grouper called without a category map, 640 x 424 px, 21 categories',
                          called, 'ms', at_most=10.)
    common.finish('scaling', args, [exponents(*each) for each in measured],
                  figures=[*figures(measured), whole], tables=tables)


if __name__ == '__main__':
    main()
