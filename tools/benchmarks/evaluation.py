"""Time and memory of the metrics after inference.

Scenes are generated: objects of wavy outline, some behind others, with a void band around them as
in VOC, and predictions that do not overlap, as groupers give them: the objects, moved and cut into
pieces, and some where there is nothing. Everything from the data sample to the table is measured,
on one thread: the metrics' work on each image (median and total) and the figures of the whole set
at the end. Scenes are used in turn, so that many images need little memory.
"""
import argparse
import itertools
import pickle
import time
from collections.abc import Iterator, Sequence

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
BORDER = 5  # pixels of void around objects
SCENES, SIZE, PREDICTIONS = 24, (375, 500), 20  # different ones; of an image


def parse_args() -> argparse.Namespace:
    parser = common.make_parser(__doc__, 'evaluation', repeats=None, threads=1, device=False)
    parser.add_argument('--images', type=common.positive, default=1449,
                        help='default: %(default)s, those of VOC val')
    parser.add_argument('--coco', action='store_true', help="also COCO's figures")
    parser.add_argument('--panoptic', action='store_true', help='also panoptic quality')
    return common.parse(parser, quick=dict(images=3))


def make_scene(size: tuple[int, int], num_predictions: int,
               rng: np.random.Generator) -> SegDataSample:
    """Makes a data sample as a segmentor gives it, with 1 to 8 objects.

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
    sample.pred_instances = InstanceData(
        masks=torch.from_numpy(found == np.arange(1, num_predictions + 1)[:, None, None]),
        labels=torch.from_numpy(found_labels),
        scores=torch.from_numpy(rng.random(num_predictions, dtype=np.float32)))
    return sample


def _blob(size: tuple[int, int], rng: np.random.Generator, least: float,
          most: float) -> np.ndarray:
    """Draws a region of wavy outline with half axes of ``least`` to ``most`` of the image's."""
    y, x = (np.arange(side) for side in size)
    centre, half = rng.uniform(0.1, 0.9, 2) * size, rng.uniform(least, most, 2) * size
    dy, dx = ((y - centre[0]) / half[0])[:, None], (x - centre[1]) / half[1]
    waves = 0.2 * np.sin(rng.integers(3, 9) * np.arctan2(dy, dx) + rng.uniform(0, 6))
    return dy**2 + dx**2 < 1 + waves


def _borders(owners: np.ndarray) -> np.ndarray:
    """Returns the pixels near another owner, without objects too thin to keep any others."""
    kernel = np.ones((BORDER, BORDER), np.uint8)
    work = owners.astype(np.uint8)
    near = cv2.dilate(work, kernel) != cv2.erode(work, kernel)
    kept = np.bincount(owners[~near], minlength=owners.max() + 1) > 0
    return near & kept[owners]


def _predict(owners: np.ndarray, labels: np.ndarray, num_predictions: int,
             rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Returns the number of the prediction of each pixel, from 1, or 0; and their labels."""
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
            regions = (_blob(found.shape, rng, 0.02, 0.1) & (found == 0) for _ in range(10))
            region = next((each for each in regions if each.any()), found < 0)
        found[region] = place + 1
    return found, found_labels


def _pixels(category_map: np.ndarray) -> PixelData:
    return PixelData(data=torch.from_numpy(category_map.astype(np.int64))[None])


def make_evaluator(metrics: Sequence[BaseMetric], num_things: int = NUM_THINGS) -> Evaluator:
    """Makes an evaluator of background and that many thing categories."""
    evaluator = Evaluator(metrics)
    classes = ('background', *(f'thing {index}' for index in range(1, num_things + 1)))
    evaluator.dataset_meta = dict(classes=classes, thing_classes=classes[1:])
    return evaluator


def process(evaluator: Evaluator, scenes: Sequence[SegDataSample],
            num_images: int) -> Iterator[float]:
    """Evaluates that many images as a test loop does and yields the seconds of each."""
    for number, scene in zip(range(num_images), itertools.cycle(scenes)):
        scene.set_metainfo(dict(img_id=number, img_path=f'{number}.jpg'))
        yield common.milliseconds(lambda scene=scene: evaluator.process([scene])) / 1e3


def measure(metrics: Sequence[BaseMetric], scenes: Sequence[SegDataSample],
            num_images: int) -> dict[str, float]:
    """Evaluates images; times in seconds or milliseconds, sizes in bytes."""
    evaluator = make_evaluator(metrics)
    before, cpu = common.peak_memory(), time.process_time()
    times = list(process(evaluator, scenes, num_images))
    kept = sum(len(pickle.dumps(metric.results)) for metric in metrics) / num_images
    compute = common.milliseconds(lambda: evaluator.evaluate(num_images)) / 1e3
    return dict(
        ms_image=common.median(times) * 1e3, seconds_process=sum(times), seconds_compute=compute,
        seconds_total=sum(times) + compute, seconds_cpu=time.process_time() - cpu,
        bytes_kept_image=kept, bytes_peak=common.peak_memory() * common.MIB,
        bytes_peak_grown=(common.peak_memory() - before) * common.MIB)


def main() -> None:
    args = parse_args()
    cv2.setNumThreads(0)
    scenes = [make_scene(SIZE, PREDICTIONS, np.random.default_rng([0, index]))
              for index in range(min(SCENES, args.images))]
    metrics = [InstBoxMetric(), *[InstCocoMetric()] * args.coco,
               *[InstPanopticMetric()] * args.panoptic]
    common.finish('evaluation', args, [measure(metrics, scenes, args.images)], figure='ms_image',
                  note=f'{args.images} images with {PREDICTIONS} predictions each.')


if __name__ == '__main__':
    main()
