"""Groupers on true boxes that are blurred and disturbed, so that only grouping is measured.

Categories are the true ones. The true boxes of the cells at stride 8 are blurred across the borders
of touching objects (Gaussian with sigma in cells, inside the foreground of the category, normalised
by it) and disturbed by smooth noise (white noise blurred with sigma 2 cells, then of unit variance)
times a share of the object's own width or height. For each grouper and level of noise: F1 at mask
IoU above 0.5, PQ, and the median times of an image on one thread, to group the cells and then to
draw masks at the image's size; of a few calls for each image the fastest counts.
"""
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from support import common
from torch import Tensor

from mmseg_instbox.core.base_grouper import BaseGrouper
from mmseg_instbox.core.feature_grid import sample_at_cells
from mmseg_instbox.core.groupers import GROUPERS
from mmseg_instbox.core.instances import draw_instances
from mmseg_instbox.datasets.inst_box_dataset import VOC_FOLDERS
from mmseg_instbox.datasets.instance_maps import VOID, object_boxes
from mmseg_instbox.datasets.transforms.loading import read_mask
from mmseg_instbox.datasets.voc_layout import read_list
from mmseg_instbox.evaluation.functional.pixel_counts import region_overlap
from mmseg_instbox.evaluation.oracle import true_boxes

LEVELS = ((0, 0), (1.5, 0.1), (1.5, 0.2), (2.5, 0.3))  # sigma of the blur in cells, share of noise
NOISE_SIGMA = 2
MATCH_IOU = 0.5
REPEATS = 5


class Scene(NamedTuple):
    """The truth of an image: maps (H, W), 0 or void without object, and its cells, (h, w).

    ``cell_categories`` is int64, ``boxes`` (4, h, w) float64.
    """
    categories: Tensor
    objects: Tensor
    cell_categories: np.ndarray
    boxes: np.ndarray


def load_scenes(root: Path, lists: Sequence[str], max_images: int, stride: int) -> list[Scene]:
    """Reads at most ``max_images`` images of the lists, always the same ones."""
    folder = root / 'ImageSets' / 'Segmentation'
    names = [name for part in lists for name in read_list(folder / f'{part}.txt')]
    count = min(max_images, len(names))
    chosen = np.random.default_rng(0).choice(len(names), count, replace=False)
    return [make_scene(*(read_mask(str(root / VOC_FOLDERS[part] / f'{names[index]}.png'), 'mask')
                         for part in ('seg_map_path', 'inst_map_path')), stride)
            for index in sorted(chosen)]


def make_scene(seg_map: np.ndarray, inst_map: np.ndarray, stride: int) -> Scene:
    """Gives each cell of a category mask and an instance mask, (H, W) int32, its object's box."""
    inst_map = np.where(seg_map == VOID, VOID, inst_map)
    seg_map = np.where((inst_map == 0) | (inst_map == VOID), 0, seg_map)
    grid = tuple(-(-size // stride) for size in seg_map.shape)
    maps = [torch.from_numpy(part.astype(np.int64)) for part in (seg_map, inst_map)]
    ids, object_box = (torch.from_numpy(part) for part in object_boxes(inst_map))
    boxes = true_boxes(maps[1], dict(ids=ids, bboxes=object_box), grid, seg_map.shape).nan_to_num()
    cells = sample_at_cells(maps[0], grid, void=0)
    return Scene(*maps, cells.numpy(), boxes.double().numpy())


def disturb(scene: Scene, sigma: float, noise: float, rng: np.random.Generator) -> np.ndarray:
    """Returns the scene's boxes (4, h, w), blurred across objects of a category and disturbed.

    ``sigma`` of the blur is in cells, ``noise`` a share of the object's width or height.
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


def steps(grouper: BaseGrouper, scene: Scene, boxes: np.ndarray, num_categories: int
          ) -> tuple[Callable[[], Any], Callable[[Any], Any], Callable[[], Any]]:
    """Returns what groups the cells of a scene, what draws the masks of these groups, and the call
    that does both and finds the categories of the pixels itself."""
    cells = torch.from_numpy(scene.cell_categories)
    probabilities = torch.nn.functional.one_hot(cells, num_categories).permute(2, 0, 1).float()
    things, shape = torch.arange(1, num_categories), tuple(scene.categories.shape)
    field = torch.from_numpy(boxes).float()
    return (lambda: grouper.group_cells(probabilities, field, shape, things, shape),
            lambda groups: draw_instances(groups, scene.categories, things, shape),
            lambda: grouper(probabilities, field, shape, things))


def match(masks: Tensor, scene: Scene) -> tuple[int, float, int, int]:
    """Counts matches, the sum of their IoU, predictions and objects; void does not count.

    Neither predictions nor objects overlap: at most one of each has an IoU above 0.5 with another.
    """
    ids = scene.objects.unique()
    ids = ids[(ids != 0) & (ids != VOID)]
    overlap = region_overlap(*(each.numpy() for each in (masks, scene.objects, ids)))
    ious = overlap.ious[overlap.kept]
    hits = ious[ious > MATCH_IOU]
    return len(hits), float(hits.sum()), len(ious), len(ids)


def run_grouper(grouper: BaseGrouper, scenes: Sequence[Scene],
                boxes: Sequence[np.ndarray]) -> dict[str, float]:
    """Returns F1, PQ and the median milliseconds of an image on the grid and for its masks."""
    counts, times = [], []
    for scene, field in zip(scenes, boxes, strict=True):
        group, draw, _ = steps(grouper, scene, field, max(int(scene.cell_categories.max()) + 1, 2))
        groups = group()
        counts.append(match(draw(groups).masks, scene))
        times.append([min(common.timed(work)[0] for _ in range(REPEATS))
                      for work in (group, partial(draw, groups))])
    matches, iou, predictions, objects = np.sum(counts, axis=0)
    grid, masks = np.median(times, axis=0)
    mean_number = max((predictions + objects) / 2, 0.5)
    return dict(F1=matches / mean_number, PQ=iou / mean_number, ms_grid=grid, ms_masks=masks)


def benchmark(groupers: Sequence[BaseGrouper], scenes: Sequence[Scene]) -> Iterator[dict]:
    """Yields a row for each level of noise and grouper; all groupers get the same noise."""
    for sigma, noise in LEVELS:
        boxes = [disturb(scene, sigma, noise, np.random.default_rng([0, index]))
                 for index, scene in enumerate(scenes)]
        for grouper in groupers:
            figures = run_grouper(grouper, scenes, boxes)
            yield dict(grouper=type(grouper).__name__, sigma=sigma, noise=noise, **figures)


def main() -> None:
    parser = common.make_parser(__doc__, 'grouping', repeats=None, device=False)
    parser.add_argument('--data-root', type=Path, default=Path('data/voc_mini/VOCdevkit/VOC2012'),
                        help="a data set in VOC's layout (default: %(default)s)")
    parser.add_argument('--lists', nargs='+', default=['train_coco', 'val_coco'],
                        help='lists in ImageSets/Segmentation (default: %(default)s)')
    parser.set_defaults(threads=1, max_images=120, stride=8)
    args = common.parse(parser, quick=dict(max_images=2, stride=2))
    cv2.setNumThreads(0)
    scenes = load_scenes(args.data_root, args.lists, args.max_images, args.stride)
    rows = list(benchmark([kind() for kind in GROUPERS.values()], scenes))
    sigma, noise = level = LEVELS[-2]
    scores = {row['grouper']: row['F1'] for row in rows if (row['sigma'], row['noise']) == level}
    ours, peer = (scores[kind] for kind in ('PixelBoxGrouper', 'BoxNMSGrouper'))
    figure = common.Figure(f'F1 of PixelBoxGrouper, blur {sigma} cells, noise {noise}; peer: '
                           'BoxNMSGrouper', ours, '', peer, ours / max(peer, 1e-9))
    common.finish('grouping', args, rows, note=f'{len(scenes)} images.', figures=[figure])


if __name__ == '__main__':
    main()
