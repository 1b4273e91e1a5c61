"""Compare the groupers on true boxes that are blurred and disturbed.

Categories are the true ones, and so are the boxes of the cells at stride 8, so that only the
grouping is measured. What a network does to boxes is imitated: they are blurred across the borders
of touching objects (Gaussian with sigma in cells, inside the foreground of the category, normalised
by the blurred foreground), and smooth noise (white noise blurred with sigma 2 cells, then of unit
variance) is added, times a share of the object's own width or height. Prints for each grouper and
level of noise F1 at mask IoU > 0.5, PQ and the median times of an image, on one thread: to group
the cells, and then to draw masks at the image's size. The last table times the masks of a crowd: a
picture of 512 x 512 pixels with 30 objects. Each image is timed a few times in a row and the
fastest counts: the others tell what else the machine did.
"""
import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from inspect import isclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import common
import cv2
import numpy as np
import torch
from mmengine.config import DictAction
from mmseg.registry import TASK_UTILS
from scipy.ndimage import gaussian_filter
from torch import Tensor

from mmseg_instbox.core.base_grouper import BaseGrouper, draw_instances
from mmseg_instbox.core.feature_grid import sample_at_cells
from mmseg_instbox.datasets.inst_box_dataset import VOC_FOLDERS
from mmseg_instbox.datasets.instance_maps import VOID, check_same_size, object_boxes
from mmseg_instbox.datasets.transforms.loading import read_mask
from mmseg_instbox.datasets.voc_layout import read_list
from mmseg_instbox.evaluation.functional import region_overlap
from mmseg_instbox.evaluation.oracle import true_boxes

LEVELS = ((0, 0), (1.5, 0.1), (1.5, 0.2), (2.5, 0.3))  # sigma of the blur in cells, share of noise
NOISE_SIGMA = 2
MATCH_IOU = 0.5
REPEATS = 5
T = TypeVar('T')


class Scene(NamedTuple):
    """A true image: maps (H, W) and their cells (h, w), int64; the cells' boxes (4, h, w).

    ``categories`` is 0 and ``objects`` is 0 or 255 wherever there is no object.
    """
    categories: Tensor
    objects: Tensor
    cell_categories: np.ndarray
    boxes: np.ndarray


def registered_groupers() -> list[str]:
    """Names of the groupers in ``TASK_UTILS``."""
    TASK_UTILS.import_from_location()  # it is filled when it is first used
    return sorted(name for name, cls in TASK_UTILS.module_dict.items()
                  if isclass(cls) and issubclass(cls, BaseGrouper))


def parse_args() -> argparse.Namespace:
    parser = common.make_parser(__doc__, 'grouping', repeats=None, threads=1, device=False)
    parser.add_argument('--data-root', type=Path, default=Path('data/voc_mini/VOCdevkit/VOC2012'),
                        help="a data set in VOC's layout (default: %(default)s)")
    parser.add_argument('--lists', nargs='+', default=['train_coco', 'val_coco'],
                        help='lists in ImageSets/Segmentation (default: %(default)s)')
    parser.add_argument('--max-images', type=common.positive, default=120,
                        help='how many images, drawn at random from the lists')
    parser.add_argument('--groupers', nargs='+', default=registered_groupers(), metavar='NAME',
                        help='default: all that are registered (%(default)s)')
    parser.add_argument('--options', nargs='+', action=DictAction, default={}, metavar='NAME=VALUE',
                        help='arguments of the groupers, for example num_smooth=0')
    parser.add_argument('--stride', type=common.positive, default=8, help='pixels a cell')
    parser.add_argument('--seed', type=int, default=0)
    args = common.parse(parser)
    unknown = sorted(set(args.groupers) - set(registered_groupers()))
    if unknown:
        parser.error(f'--groupers: {unknown} are not registered; known are {registered_groupers()}')
    if args.seed < 0:
        parser.error('--seed must not be negative')
    return args


def choose_images(root: Path, lists: Sequence[str], max_images: int, seed: int) -> list[str]:
    """Names of at most ``max_images`` images of the lists, always the same ones for a seed."""
    folder = root / 'ImageSets' / 'Segmentation'
    names = [name for part in lists for name in read_list(folder / f'{part}.txt')]
    count = min(max_images, len(names))
    chosen = np.random.default_rng(seed).choice(len(names), count, replace=False)
    return [names[index] for index in sorted(chosen)]


def load_scene(root: Path, name: str, stride: int) -> Scene:
    """Read the masks of an image and give each cell the box of its object.

    Raises:
        FileNotFoundError: If a mask is missing.
        ValueError: If a mask is broken, or the two differ in size.
    """
    folders = (VOC_FOLDERS['seg_map_path'], VOC_FOLDERS['inst_map_path'])
    files = [root / folder / f'{name}.png' for folder in folders]
    seg_map, inst_map = (read_mask(str(file), 'mask') for file in files)
    check_same_size(inst_map.shape, seg_map.shape, str(files[1]), 'the category mask')
    return make_scene(seg_map, inst_map, stride)


def make_scene(seg_map: np.ndarray, inst_map: np.ndarray, stride: int) -> Scene:
    """Sample the cells of a category mask and an instance mask, both (H, W) int32."""
    inst_map = np.where(seg_map == VOID, VOID, inst_map)
    seg_map = np.where((inst_map == 0) | (inst_map == VOID), 0, seg_map)
    grid = tuple(-(-size // stride) for size in seg_map.shape)
    maps = [torch.from_numpy(part.astype(np.int64)) for part in (seg_map, inst_map)]
    ids, object_box = (torch.from_numpy(part) for part in object_boxes(inst_map))
    boxes = true_boxes(maps[1], ids, object_box, grid, seg_map.shape).nan_to_num()
    cells = sample_at_cells(maps[0], grid, void=0)
    return Scene(*maps, cells.numpy(), boxes.double().numpy())


def disturb(scene: Scene, sigma: float, noise: float, rng: np.random.Generator) -> np.ndarray:
    """The scene's boxes (4, h, w), blurred across objects of a category and disturbed.

    Args:
        scene: A true image.
        sigma: Of the blur, in cells; 0 for none.
        noise: Standard deviation of the noise, as a share of the object's width or height.
        rng: Draws the noise.
    """
    boxes = scene.boxes.copy()
    for category in np.unique(scene.cell_categories[scene.cell_categories > 0]) if sigma else ():
        inside = scene.cell_categories == category
        weight = gaussian_filter(inside.astype(float), sigma)
        for side, blurred in zip(scene.boxes, boxes, strict=True):
            blurred[inside] = gaussian_filter(side * inside, sigma)[inside] / weight[inside]
    white = rng.standard_normal(boxes.shape)
    smooth = np.stack([gaussian_filter(side, NOISE_SIGMA) for side in white])
    size = np.tile(scene.boxes[2:] - scene.boxes[:2], (2, 1, 1))
    return boxes + smooth / smooth.std() * noise * size


def match(masks: Tensor, scene: Scene) -> tuple[int, float, int, int]:
    """Matches, the sum of their IoU, predictions and objects; void does not count.

    Regions overlap neither among the predictions nor among the objects, so that at most one of each
    has an IoU above 0.5 with another.
    """
    ids = scene.objects.unique()
    ids = ids[(ids != 0) & (ids != VOID)]
    overlap = region_overlap(*(each.numpy() for each in (masks, scene.objects, ids)))
    ious, kept = overlap.ious, overlap.kept
    hits = ious[kept][ious[kept] > MATCH_IOU]
    return len(hits), float(hits.sum()), int(kept.sum()), len(ids)


def run_grouper(grouper: BaseGrouper, scenes: Sequence[Scene],
                boxes: Sequence[np.ndarray]) -> dict[str, float]:
    """F1, PQ and the median milliseconds of an image on the grid and for its masks."""
    results = [group_scene(grouper, *pair) for pair in zip(scenes, boxes, strict=True)]
    counts = np.array([result[:4] for result in results]).sum(axis=0)
    times = np.median([result[4:] for result in results], axis=0)
    matches, iou, mean_number = counts[0], counts[1], max((counts[2] + counts[3]) / 2, 0.5)
    return dict(F1=matches / mean_number, PQ=iou / mean_number, ms_grid=times[0], ms_masks=times[1])


def group_scene(grouper: BaseGrouper, scene: Scene, boxes: np.ndarray) -> tuple[float, ...]:
    """What :func:`match` counts, and the milliseconds on the grid and for the masks."""
    num_categories = max(int(scene.cell_categories.max()) + 1, 2)
    scores = true_probabilities(scene, num_categories)
    thing_ids = torch.arange(1, num_categories)
    shape = tuple(scene.categories.shape)
    field = torch.from_numpy(boxes).float()
    groups, ms_grid = timed(
        lambda: grouper.group_cells(scores, field, shape, thing_ids, shape))
    result, ms_masks = timed(lambda: draw_instances(groups, scene.categories, thing_ids, shape))
    return *match(result.masks, scene), ms_grid, ms_masks


def true_probabilities(scene: Scene, num_categories: int) -> Tensor:
    """Category probabilities (C, h, w) of the cells: 1 for the true category."""
    categories = torch.from_numpy(scene.cell_categories)
    return torch.nn.functional.one_hot(categories, num_categories).permute(2, 0, 1).float()


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """What ``work`` returns, and the fewest milliseconds of a few calls."""
    times = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        result = work()
        times.append((time.perf_counter() - begin) * 1e3)
    return result, min(times)


def crowd(size: int = 512, rows: int = 5, columns: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Category and instance mask (size, size) int32 of ellipses in rows, each row in front of the
    one above, all of one category and overlapping."""
    y, x = np.mgrid[:size, :size]
    inst_map = np.zeros((size, size), dtype=np.int32)
    height, width = size / (rows + 1), size / (columns + 1)
    for index, (row, column) in enumerate(np.ndindex(rows, columns), start=1):
        centre_y, centre_x = (row + 1) * height, (column + 1) * width
        inside = ((y - centre_y) / height)**2 + ((x - centre_x) / width)**2 < 0.45
        inst_map[inside] = index
    return (inst_map > 0).astype(np.int32), inst_map


def benchmark(groupers: Sequence[dict], scenes: Sequence[Scene], seed: int) -> Iterator[dict]:
    """One row for each level of noise and grouper; the noise of an image is the same for all."""
    for sigma, noise in LEVELS:
        boxes = [disturb(scene, sigma, noise, np.random.default_rng([seed, index]))
                 for index, scene in enumerate(scenes)]
        for grouper in groupers:
            figures = run_grouper(TASK_UTILS.build(dict(grouper)), scenes, boxes)
            yield dict(grouper=grouper['type'], sigma=sigma, noise=noise, **figures)


def benchmark_crowd(groupers: Sequence[dict], stride: int) -> Iterator[dict]:
    """One row for each grouper with the times of the crowd."""
    scene = make_scene(*crowd(), stride)
    for grouper in groupers:
        *counts, ms_grid, ms_masks = group_scene(TASK_UTILS.build(dict(grouper)), scene,
                                                 scene.boxes)
        yield dict(grouper=grouper['type'], objects=counts[3], found=counts[0], ms_grid=ms_grid,
                   ms_masks=ms_masks)


def main() -> None:
    args = parse_args()
    cv2.setNumThreads(0)
    names = choose_images(args.data_root, args.lists, args.max_images, args.seed)
    scenes = [load_scene(args.data_root, name, args.stride) for name in names]
    groupers = [dict(type=name, **args.options) for name in args.groupers]
    rows = list(benchmark(groupers, scenes, args.seed))
    crowd_title = 'A picture of 512 x 512 pixels with 30 objects'
    common.finish('grouping', args, rows, note=f'{len(names)} images.',
                  tables={crowd_title: list(benchmark_crowd(groupers, args.stride))})


if __name__ == '__main__':
    main()
