"""Measure how long the metrics take after inference, and what memory.

Scenes are made with a seed: objects of wavy outline, some behind others, with a void band around
them as in VOC, and predictions that do not overlap, as the groupers give them: the objects, moved
and cut into pieces, and some where there is nothing. Everything from the data sample to the table
is measured, on one thread: the metrics' own work with each image (median and total) and the figures
of the whole set at the end. Scenes are used in turn, so that many images need little memory.
"""
import argparse
import itertools
import json
import pickle
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import common
import cv2
import numpy as np
import torch
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample

from mmseg_instbox.datasets.instance_maps import VOID, object_boxes
from mmseg_instbox.evaluation import InstBoxMetric, InstCocoMetric, InstPanopticMetric

NUM_THINGS = 20
CLASSES = ('background', *(f'thing {index}' for index in range(1, NUM_THINGS + 1)))
META = dict(classes=CLASSES, thing_classes=CLASSES[1:],
            category_ids={label + 1: label for label in range(NUM_THINGS)})
BORDER = 5  # pixels of void around objects


def parse_args() -> argparse.Namespace:
    parser = common.make_parser(__doc__, 'evaluation', repeats=None, threads=1, device=False)
    parser.add_argument('--images', type=common.positive, default=1449,
                        help="default: VOC val's %(default)s")
    parser.add_argument('--predictions', type=int, default=20, help='an image (%(default)s)')
    parser.add_argument('--size', type=int, nargs=2, default=(375, 500),
                        metavar=('HEIGHT', 'WIDTH'), help='of an image, in pixels (%(default)s)')
    parser.add_argument('--scenes', type=common.positive, default=24,
                        help='different ones (%(default)s)')
    parser.add_argument('--coco', action='store_true', help="also COCO's figures")
    parser.add_argument('--official', action='store_true',
                        help="take COCO's figures from a file of annotations")
    parser.add_argument('--panoptic', action='store_true', help='also panoptic quality')
    parser.add_argument('--seed', type=int, default=0)
    args = common.parse(parser)
    if min(args.predictions, args.seed) < 0:
        parser.error('--predictions and --seed must not be negative')
    if min(args.size) < 32:
        parser.error('--size must be at least 32 32')
    if args.official and not args.coco:
        parser.error('--official needs --coco')
    return args


def make_scene(size: tuple[int, int], num_predictions: int,
               rng: np.random.Generator) -> SegDataSample:
    """A data sample as a segmentor gives it, with 1 to 8 objects.

    Args:
        size: Height and width in pixels.
        num_predictions: Number of predicted instances.
        rng: Draws the scene.
    """
    owners = np.zeros(size, np.int32)
    for index in range(1, rng.integers(1, 9) + 1):
        owners[_blob(size, rng, 0.05, 0.35)] = index
    labels = rng.integers(0, NUM_THINGS, owners.max() + 1)
    inst_map = np.where(_borders(owners), VOID, owners).astype(np.int32)
    ids, _ = object_boxes(inst_map)
    categories = np.append(0, labels[1:] + 1)
    sample = SegDataSample()
    sample.gt_sem_seg = _pixels(np.where(inst_map == VOID, VOID, categories[owners]))
    sample.gt_inst_map = PixelData(data=torch.from_numpy(inst_map)[None])
    sample.gt_instances = InstanceData(
        ids=torch.from_numpy(ids), labels=torch.from_numpy(labels[ids]))
    found, found_labels = _predict(owners, labels, num_predictions, rng)
    sample.pred_sem_seg = _pixels(np.append(0, found_labels + 1)[found])
    masks = found == np.arange(1, num_predictions + 1)[:, None, None]
    sample.pred_instances = InstanceData(
        masks=torch.from_numpy(masks), labels=torch.from_numpy(found_labels),
        scores=torch.from_numpy(rng.random(num_predictions, dtype=np.float32)))
    return sample


def _blob(size: tuple[int, int], rng: np.random.Generator, least: float,
          most: float) -> np.ndarray:
    """A region of wavy outline; its half axes are from ``least`` to ``most`` of the image's."""
    y, x = (np.arange(side) for side in size)
    centre, half = rng.uniform(0.1, 0.9, 2) * size, rng.uniform(least, most, 2) * size
    dy, dx = ((y - centre[0]) / half[0])[:, None], (x - centre[1]) / half[1]
    waves = 0.2 * np.sin(rng.integers(3, 9) * np.arctan2(dy, dx) + rng.uniform(0, 6))
    return dy**2 + dx**2 < 1 + waves


def _free_blob(free: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The part of a small blob that is free, which is seldom nothing."""
    for _ in range(10):
        region = _blob(free.shape, rng, 0.02, 0.1) & free
        if region.any():
            break
    return region


def _borders(owners: np.ndarray) -> np.ndarray:
    """The pixels near another owner, but for the middle of an object too thin to keep any."""
    kernel = np.ones((BORDER, BORDER), np.uint8)
    work = owners.astype(np.uint8)
    near = cv2.dilate(work, kernel) != cv2.erode(work, kernel)
    kept = np.bincount(owners[~near], minlength=owners.max() + 1) > 0
    return near & kept[owners]


def _predict(owners: np.ndarray, labels: np.ndarray, num_predictions: int,
             rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Number of the prediction of each pixel, from 1, or 0; and the category of each."""
    moved = np.roll(owners, rng.integers(-4, 5, 2), (0, 1))
    found = np.zeros_like(owners)
    found_labels = rng.integers(0, NUM_THINGS, num_predictions)
    objects = rng.permutation(np.setdiff1d(moved, [0]))
    for place in range(num_predictions):
        if place < 2 * len(objects):  # the object, then a piece of it
            index = objects[place % len(objects)]
            region = moved == index
            if place >= len(objects):
                region[:, int(np.median(region.any(0).nonzero()[0])):] = False
            found_labels[place] = labels[index]
        else:
            region = _free_blob(found == 0, rng)
        found[region] = place + 1
    return found, found_labels


def _pixels(category_map: np.ndarray) -> PixelData:
    return PixelData(data=torch.from_numpy(category_map.astype(np.int64))[None])


def write_annotations(scenes: Sequence[SegDataSample], num_images: int, path: Path) -> str:
    """The objects of all images as a file of COCO instances."""
    images, annotations = [], []
    for number, scene in zip(range(num_images), itertools.cycle(scenes)):
        inst_map, objects = scene.gt_inst_map.data[0].numpy(), scene.gt_instances
        height, width = inst_map.shape
        images.append(dict(id=number, file_name=f'{number}.jpg', height=height, width=width))
        for index, label in zip(objects.ids.tolist(), objects.labels.tolist(), strict=True):
            region = (inst_map == index).astype(np.uint8)
            annotations.append(dict(
                id=len(annotations) + 1, image_id=number, category_id=label + 1, iscrowd=0,
                area=int(region.sum()), segmentation=_polygons(region)))
    categories = [dict(id=number, name=CLASSES[number]) for number in META['category_ids']]
    path.write_text(json.dumps(
        dict(images=images, annotations=annotations, categories=categories)))
    return str(path)


def _polygons(region: np.ndarray) -> list[list[int]]:
    """Outlines as COCO stores them, simplified to one pixel."""
    outlines, _ = cv2.findContours(region, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    outlines = [cv2.approxPolyDP(outline, 1, True) for outline in outlines]
    polygons = [outline.ravel().tolist() for outline in outlines if len(outline) > 2]
    left, top, width, height = cv2.boundingRect(region)
    right, bottom = left + width, top + height
    return polygons or [[left, top, right, top, right, bottom, left, bottom]]


def measure(metrics: Sequence[BaseMetric], scenes: Sequence[SegDataSample],
            num_images: int) -> dict[str, float]:
    """Evaluate as a test loop does; times in seconds or milliseconds, sizes in bytes."""
    evaluator = Evaluator(metrics)
    evaluator.dataset_meta = META
    before, cpu = common.peak_memory(), time.process_time()
    times = list(_process(evaluator, scenes, num_images))
    kept = sum(len(pickle.dumps(metric.results)) for metric in metrics) / num_images
    begin = time.perf_counter()
    evaluator.evaluate(num_images)
    compute = time.perf_counter() - begin
    return dict(
        ms_image=float(np.median(times)) * 1e3,
        seconds_process=sum(times),
        seconds_compute=compute,
        seconds_total=sum(times) + compute,
        seconds_cpu=time.process_time() - cpu,
        bytes_kept_image=kept,
        bytes_peak=common.peak_memory() * common.MIB,
        bytes_peak_grown=(common.peak_memory() - before) * common.MIB)


def _process(evaluator: Evaluator, scenes: Sequence[SegDataSample],
             num_images: int) -> Iterator[float]:
    """Seconds of each image."""
    for number, scene in zip(range(num_images), itertools.cycle(scenes)):
        scene.set_metainfo(dict(img_id=number, img_path=f'{number}.jpg'))
        begin = time.perf_counter()
        evaluator.process([scene])
        yield time.perf_counter() - begin


def main() -> None:
    args = parse_args()
    cv2.setNumThreads(0)
    scenes = [make_scene(tuple(args.size), args.predictions, np.random.default_rng([args.seed, i]))
              for i in range(min(args.scenes, args.images))]
    with tempfile.TemporaryDirectory() as folder:
        ann_file = None
        if args.official:
            ann_file = write_annotations(scenes, args.images, Path(folder) / 'instances.json')
        metrics = [InstBoxMetric()]
        if args.coco:
            metrics.append(InstCocoMetric(ann_file=ann_file))
        if args.panoptic:
            metrics.append(InstPanopticMetric())
        figures = measure(metrics, scenes, args.images)
    common.finish('evaluation', args, [figures],
                  note=f'{args.images} images with {args.predictions} predictions each.')


if __name__ == '__main__':
    main()
