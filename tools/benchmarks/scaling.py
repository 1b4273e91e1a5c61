"""How cost grows: time and memory over picture size, objects, categories and images.

Pictures are made: overlapping ellipses in rows, with the true boxes of their cells (stride 8),
blurred across objects and disturbed. Measured are grouping on the feature grid and drawing masks,
each over one axis while the others stay; "dense pictures" grow with as many objects a pixel. Then
evaluation with COCO's figures, over images and over categories. A time is the processor's, of one
thread and the fastest of a few calls; memory is the most that a call took beyond what was there. An
exponent of 1 means that cost is proportional, 2 that it is quadratic: it is that of the two largest
values of an axis.

Example:
    python tools/benchmarks/scaling.py --plot docs/images/scaling.png
"""
import argparse
import ctypes
import math
import platform
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

from mmseg_instbox.core.base_grouper import draw_instances
from mmseg_instbox.evaluation import InstBoxMetric, InstCocoMetric

STRIDE = 8
SIZES = (256, 512, 1024, 2048, 4096)
OBJECTS = (1, 3, 10, 30, 100, 300)
CATEGORIES = (2, 10, 100, 1000)
IMAGES = (100, 1000, 10000)
# the greatest exponents of grouping; of objects the candidates' own table of IoUs is quadratic
LIMITS = dict(px=1.2, objects=1.5, categories=1.2)
DENSITY = 30 / 1024**2  # objects a pixel in dense pictures
PATIENCE = 1000  # milliseconds above which a call is not repeated


class Axis(NamedTuple):
    """What grows: ``values`` on the axis, and what cost should grow with, ``amount`` of a value."""
    title: str
    unit: str
    values: Sequence[int]
    amount: Callable[[int], float]
    measure: Callable[[int, argparse.Namespace], dict[str, float]]


def make_picture(size: int, num_objects: int, num_categories: int) -> grouping.Scene:
    """A true picture of size x size pixels with ellipses in rows; categories take turns."""
    columns = math.ceil(math.sqrt(num_objects))
    rows = math.ceil(num_objects / columns)
    inst_map = np.zeros((size, size), np.int32)
    for index in range(num_objects):
        centre = [(place + 0.5) * size / count
                  for place, count in ((index % columns, columns), (index // columns, rows))]
        axes = (0.55 * size / columns, 0.45 * size / rows)
        number = index + 1 + (index >= 254)  # 255 is void
        cv2.ellipse(inst_map, (*(round(each) for each in centre), ),
                    (*(max(round(each), 1) for each in axes), ), 0, 0, 360, number, -1)
    seg_map = np.where(inst_map > 0, 1 + inst_map % (num_categories - 1), 0).astype(np.int32)
    return grouping.make_scene(seg_map, inst_map, STRIDE)


def measure_grouping(size: int, num_objects: int, num_categories: int,
                     args: argparse.Namespace) -> dict[str, float]:
    """Milliseconds and MiB of grouping the cells of a picture and of drawing their masks."""
    scene = make_picture(size, num_objects, num_categories)
    boxes = grouping.disturb(scene, 1.5, 0.1, np.random.default_rng(0))
    field = torch.from_numpy(boxes).float()
    scores = grouping.true_probabilities(scene, num_categories)
    grouper, things = TASK_UTILS.build(dict(type='PixelBoxGrouper')), range(1, num_categories)
    shape = tuple(scene.categories.shape)
    grid, groups = measure(
        lambda: grouper.group_cells(scores, field, shape, things, shape), args.repeats)
    masks, found = measure(
        lambda: draw_instances(groups, scene.categories, things, shape), args.repeats)
    return dict(objects=num_objects, found=len(found), grid_ms=grid[0], masks_ms=masks[0],
                grid_mib=grid[1], masks_mib=masks[1])


def measure_evaluation(num_images: int, num_categories: int,
                       args: argparse.Namespace) -> dict[str, float]:
    """Seconds of all images and of the figures, and MiB, of evaluating made-up predictions."""
    scenes = [spread(evaluation.make_scene((192, 256), 20, np.random.default_rng([0, index])),
                     num_categories) for index in range(min(24, num_images))]
    classes = ('background', *(f'thing {index}' for index in range(1, num_categories)))
    evaluator = evaluation.Evaluator([InstBoxMetric(), InstCocoMetric()])
    evaluator.dataset_meta = dict(classes=classes, thing_classes=classes[1:])
    images, _ = measure(lambda: list(evaluation._process(evaluator, scenes, num_images)), 1)
    figures, _ = measure(lambda: evaluator.evaluate(num_images), 1)
    return dict(images_s=images[0] / 1e3, figures_s=figures[0] / 1e3, images_mib=images[1],
                figures_mib=figures[1])


def spread(scene: SegDataSample, num_categories: int) -> SegDataSample:
    """The scene, its 20 categories spread over others in number; changed in place."""
    things = num_categories - 1
    labels = torch.arange(evaluation.NUM_THINGS) * max(things // evaluation.NUM_THINGS, 1) % things
    table = torch.full((256, ), evaluation.VOID)
    table[:len(labels) + 1] = torch.cat([torch.zeros(1, dtype=torch.long), labels + 1])
    for field in ('gt_sem_seg', 'pred_sem_seg'):
        scene.get(field).data = table[scene.get(field).data.long()]
    for field in ('gt_instances', 'pred_instances'):
        scene.get(field).labels = labels[scene.get(field).labels]
    return scene


def measure(work: Callable[[], Any], repeats: int) -> tuple[tuple[float, float | None], Any]:
    """Milliseconds of the fastest call and MiB that the first one took; and what that gave."""
    before, results = reset_peak(), []
    times = [processor_ms(lambda: results.append(work()))]
    grown = None if before is None else max(common.peak_memory() - before, 0.)
    while len(times) < repeats and times[0] < PATIENCE:
        times.append(processor_ms(work))
    return (min(times), grown), results[0]


def processor_ms(work: Callable[[], Any]) -> float:
    """Milliseconds that the processor works on a call, whatever else the machine does."""
    begin = time.process_time()
    work()
    return (time.process_time() - begin) * 1e3


def reset_peak() -> float | None:
    """MiB that this process holds now, from which its peak counts again; None if that is not
    possible here."""
    if platform.system() != 'Linux':
        return None
    ctypes.CDLL(None).malloc_trim(0)  # or memory that was freed would hide what is taken next
    Path('/proc/self/clear_refs').write_text('5')
    return common.peak_memory()


def axes() -> list[Axis]:
    """All that is varied."""
    return [
        Axis('picture size, 30 objects', 'px', SIZES, lambda size: size**2,
             lambda size, args: measure_grouping(size, 30, 21, args)),
        Axis('dense pictures', 'px', SIZES, lambda size: size**2,
             lambda size, args: measure_grouping(size, max(round(DENSITY * size**2), 1), 21, args)),
        Axis('objects, 1,024 px', 'objects', OBJECTS, float,
             lambda number, args: measure_grouping(1024, number, 21, args)),
        Axis('categories, 512 px', 'categories', CATEGORIES, float,
             lambda number, args: measure_grouping(512, 30, number, args)),
        Axis('evaluation, 20 categories', 'images', IMAGES, float,
             lambda number, args: measure_evaluation(number, 21, args)),
        Axis('evaluation, 1,000 images', 'categories', CATEGORIES, float,
             lambda number, args: measure_evaluation(1000, number, args)),
    ]


def exponents(axis: Axis, rows: Sequence[dict]) -> dict[str, float | None]:
    """With which power of the amount each figure grows between the two largest values."""
    one, other = rows[-2:]
    step = math.log(axis.amount(axis.values[-1]) / axis.amount(axis.values[-2]))
    figures = [key for key in rows[0] if key.endswith(('_ms', '_s', '_mib'))]
    return {key: math.log(other[key] / one[key]) / step if one[key] and other[key] else None
            for key in figures}


def run(args: argparse.Namespace) -> Iterator[tuple[Axis, list[dict]]]:
    """The rows of each axis that is asked for."""
    for axis in axes():
        values = [value for value in axis.values if value <= (args.limit or value)]
        if len(values) < 2 or not any(axis.title.startswith(each) for each in args.axes):
            continue
        axis = axis._replace(values=values)
        rows = []
        for value in values:
            rows.append({'at': f'{value} {axis.unit}', **axis.measure(value, args)})
            print(f'{axis.title}: {rows[-1]["at"]} done', flush=True)
        yield axis, rows


def plot(measured: Sequence[tuple[Axis, list[dict]]], file: Path) -> None:
    """Time above and memory below, a column an axis; grey lines are proportional."""
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot
    figure, panels = pyplot.subplots(2, len(measured), figsize=(3.4 * len(measured), 6),
                                     squeeze=False)
    for column, (axis, rows) in zip(panels.T, measured, strict=True):
        column[0].set_title(axis.title, fontsize=10)
        times, memory = [[key for key in rows[0] if key.endswith(ends)]
                         for ends in (('_ms', '_s'), '_mib')]
        draw_panel(column[0], axis, rows, times, 'seconds' if times[0][-3] != '_' else 'ms')
        draw_panel(column[1], axis, rows, memory, 'MiB')
    figure.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=90)


def draw_panel(panel: Any, axis: Axis, rows: Sequence[dict], keys: Sequence[str],
               unit: str) -> None:
    """Curves of some figures, and one in proportion to the amount through the first's last."""
    values = list(axis.values)
    for key in keys:
        panel.plot(values, [row[key] or math.nan for row in rows], 'o-', ms=4,
                   label=key.rpartition('_')[0])
    top = max((rows[-1][key] or 0 for key in keys), default=0)
    amounts = [axis.amount(value) / axis.amount(values[-1]) for value in values]
    panel.plot(values, [top * each for each in amounts], '--', color='0.6', label='proportional')
    panel.set(xscale='log', yscale='log', xlabel=axis.unit, ylabel=unit)
    panel.set_xticks(values, [f'{value:,}' for value in values], fontsize=8)
    panel.minorticks_off()
    panel.grid(alpha=0.3)
    panel.legend(fontsize=8)


def parse_args() -> argparse.Namespace:
    parser = common.make_parser(__doc__, 'scaling', repeats=5, threads=1, device=False)
    parser.add_argument('--axes', nargs='+', metavar='NAME', help='those that begin with a NAME',
                        default=['picture', 'dense', 'objects', 'categories', 'evaluation'])
    parser.add_argument('--limit', type=common.positive, help='leave out values above')
    parser.add_argument('--plot', type=Path, help='picture to draw')
    return common.parse(parser)


def main() -> None:
    args = parse_args()
    cv2.setNumThreads(0)
    measured = list(run(args))
    rows = [dict(axis=axis.title, between=f'{rows[-2]["at"]} and {rows[-1]["at"]}',
                 **exponents(axis, rows)) for axis, rows in measured]
    grid = [(axis, row['grid_ms']) for (axis, _), row in zip(measured, rows, strict=True)
            if row.get('grid_ms') is not None]
    goals = [common.Goal(f'grouping over {axis.title}: exponent', 'at most', LIMITS[axis.unit],
                         value) for axis, value in grid]
    if args.plot:
        plot(measured, args.plot)
    common.finish('scaling', args, rows, goals=goals,
                  tables={axis.title: rows for axis, rows in measured})


if __name__ == '__main__':
    main()
