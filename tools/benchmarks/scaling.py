"""Time and memory over image size, objects, categories and images.

Images are generated: overlapping ellipses in rows, with the true boxes of their cells (stride 8),
blurred across objects and disturbed. Grouping on the feature grid and drawing masks are measured
over one axis each while the others stay; the objects of "dense images" grow with their pixels. Then
evaluation with COCO's figures, over images and over categories. Times are of the processor, on one
thread, the fastest of a few calls; memory is the most that a call took beyond what was there. An
exponent of 1 means that cost is proportional, 2 that it is quadratic; it is that of the two largest
values of an axis. It needs Linux.
"""
import argparse
import ctypes
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import common
import cv2
import evaluation
import grouping
import numpy as np
import torch
from mmseg.registry import TASK_UTILS
from mmseg.structures import SegDataSample

from mmseg_instbox.evaluation import InstBoxMetric, InstCocoMetric

STRIDE = 8
SIZES = (256, 512, 1024, 2048, 4096)
CATEGORIES = (2, 10, 100, 1000)
# the largest exponents of grouping; IoUs of all pairs of candidates are quadratic in the objects
LIMITS = dict(px=1.2, objects=1.5, categories=1.2)
DENSITY = 30 / 1024**2  # objects a pixel in dense images
PATIENCE = 1000  # milliseconds above which a call is not repeated


class Axis(NamedTuple):
    """What grows, and what measures a row at one of its values; cost is over value**power."""
    title: str
    unit: str
    values: Sequence[int]
    measure: Callable[[int], dict[str, float]]
    power: int = 1


def make_image(size: int, num_objects: int, num_categories: int) -> grouping.Scene:
    """Makes the truth of size x size pixels with ellipses in rows; categories take turns."""
    columns = math.ceil(math.sqrt(num_objects))
    rows = math.ceil(num_objects / columns)
    inst_map = np.zeros((size, size), np.int32)
    for index in range(num_objects):
        centre = [round((place + 0.5) * size / count)
                  for place, count in ((index % columns, columns), (index // columns, rows))]
        axes = [max(round(each), 1) for each in (0.55 * size / columns, 0.45 * size / rows)]
        number = index + 1 + (index >= 254)  # 255 is void
        cv2.ellipse(inst_map, centre, axes, 0, 0, 360, number, -1)
    seg_map = np.where(inst_map > 0, 1 + inst_map % (num_categories - 1), 0).astype(np.int32)
    return grouping.make_scene(seg_map, inst_map, STRIDE)


def measure_grouping(size: int, num_objects: int, num_categories: int,
                     repeats: int) -> dict[str, float]:
    """Measures milliseconds and MiB of grouping the cells of an image and drawing their masks."""
    scene = make_image(size, num_objects, num_categories)
    boxes = grouping.disturb(scene, 1.5, 0.1, np.random.default_rng(0))
    grouper = TASK_UTILS.build(dict(type='PixelBoxGrouper'))
    group, draw = grouping.steps(grouper, scene, boxes, num_categories)
    grid, groups = measure(group, repeats)
    masks, found = measure(lambda: draw(groups), repeats)
    return dict(objects=num_objects, found=len(found), grid_ms=grid[0], masks_ms=masks[0],
                grid_mib=grid[1], masks_mib=masks[1])


def measure_evaluation(num_images: int, num_categories: int) -> dict[str, float]:
    """Measures seconds and MiB of all images and of the figures, on generated predictions."""
    scenes = [spread(evaluation.make_scene((192, 256), 20, np.random.default_rng([0, index])),
                     num_categories - 1) for index in range(min(24, num_images))]
    evaluator = evaluation.make_evaluator([InstBoxMetric(), InstCocoMetric()], num_categories - 1)
    images, _ = measure(lambda: list(evaluation.process(evaluator, scenes, num_images)), 1)
    figures, _ = measure(lambda: evaluator.evaluate(num_images), 1)
    return dict(images_s=images[0] / 1e3, figures_s=figures[0] / 1e3, images_mib=images[1],
                figures_mib=figures[1])


def spread(scene: SegDataSample, things: int) -> SegDataSample:
    """Spreads the scene's 20 categories over that many; changes it in place."""
    labels = torch.arange(evaluation.NUM_THINGS) * max(things // evaluation.NUM_THINGS, 1) % things
    table = torch.full((256, ), evaluation.VOID)
    table[:len(labels) + 1] = torch.cat([torch.zeros(1, dtype=torch.long), labels + 1])
    for side in ('gt', 'pred'):
        category_map, instances = (scene.get(f'{side}_{part}') for part in ('sem_seg', 'instances'))
        category_map.data = table[category_map.data.long()]
        instances.labels = labels[instances.labels]
    return scene


def measure(work: Callable[[], Any], repeats: int) -> tuple[tuple[float, float], Any]:
    """Returns milliseconds of the fastest call and MiB that the first one took; and its result."""
    ctypes.CDLL(None).malloc_trim(0)  # or freed memory would hide what is taken next
    Path('/proc/self/clear_refs').write_text('5')  # the peak starts again from here
    before, results = common.peak_memory(), []
    times = [processor_ms(lambda: results.append(work()))]
    grown = max(common.peak_memory() - before, 0.)
    while len(times) < repeats and times[0] < PATIENCE:
        times.append(processor_ms(work))
    return (min(times), grown), results[0]


def processor_ms(work: Callable[[], Any]) -> float:
    """Returns the milliseconds that the processor works on a call."""
    begin = time.process_time()
    work()
    return (time.process_time() - begin) * 1e3


def make_axes(repeats: int) -> list[Axis]:
    """Returns all axes."""
    return [
        Axis('image size, 30 objects', 'px', SIZES,
             lambda size: measure_grouping(size, 30, 21, repeats), 2),
        Axis('dense images', 'px', SIZES, lambda size: measure_grouping(
            size, max(round(DENSITY * size**2), 1), 21, repeats), 2),
        Axis('objects, 1,024 px', 'objects', (1, 3, 10, 30, 100, 300),
             lambda number: measure_grouping(1024, number, 21, repeats)),
        Axis('categories, 512 px', 'categories', CATEGORIES,
             lambda number: measure_grouping(512, 30, number, repeats)),
        Axis('evaluation, 20 categories', 'images', (100, 1000, 10000),
             lambda number: measure_evaluation(number, 21)),
        Axis('evaluation, 1,000 images', 'categories', CATEGORIES,
             lambda number: measure_evaluation(1000, number)),
    ]


def exponents(axis: Axis, rows: Sequence[dict]) -> dict[str, Any]:
    """Makes a row with the exponent of each figure between the two largest values of an axis."""
    one, other = rows[-2:]
    step = math.log(axis.values[len(rows) - 1] / axis.values[len(rows) - 2]) * axis.power
    figures = [key for key in rows[0] if key.endswith(('_ms', '_s', '_mib'))]
    return dict(axis=axis.title, between=f'{one["at"]} and {other["at"]}') | {
        key: math.log(other[key] / one[key]) / step if one[key] and other[key] else None
        for key in figures}


def goals(measured: Sequence[tuple[Axis, list[dict]]]) -> Iterator[common.Goal]:
    """Yields goals of grouping over each axis, and of the masks of dense images."""
    for axis, rows in measured:
        found = exponents(axis, rows)
        if 'grid_ms' in found:
            yield common.Goal(f'grouping over {axis.title}: exponent', 'at most',
                              LIMITS[axis.unit], found['grid_ms'])
        if axis.title == 'dense images':
            where = f'masks of a dense image, {rows[-1]["at"]}, {rows[-1]["objects"]} objects'
            yield common.Goal(f'{where}: time', 'at most', 1500., rows[-1]['masks_ms'], ' ms')
            yield common.Goal(f'{where}: memory', 'at most', 500e6 / common.MIB,
                              rows[-1]['masks_mib'], ' MiB')
            yield common.Goal('masks over dense images: exponent', 'at most', 1.1,
                              found['masks_ms'])


def parse_args() -> argparse.Namespace:
    parser = common.make_parser(__doc__, 'scaling', repeats=5, threads=1, device=False)
    parser.add_argument('--axes', nargs='+', metavar='NAME', help='those that begin with a NAME',
                        default=['image', 'dense', 'objects', 'categories', 'evaluation'])
    parser.add_argument('--limit', type=common.positive, help='leave out values above')
    return common.parse(parser, quick=dict(axes=['dense'], limit=512))


def main() -> None:
    args = parse_args()
    cv2.setNumThreads(0)
    measured = []
    for axis in make_axes(args.repeats):
        values = [value for value in axis.values if value <= (args.limit or value)]
        if len(values) > 1 and axis.title.startswith(tuple(args.axes)):
            rows = [{'at': f'{value} {axis.unit}', **axis.measure(value)} for value in values]
            measured.append((axis, rows))
            print(f'{axis.title}: done', flush=True)
    common.finish('scaling', args, [exponents(*each) for each in measured],
                  goals=list(goals(measured)),
                  tables={axis.title: rows for axis, rows in measured})


if __name__ == '__main__':
    main()
