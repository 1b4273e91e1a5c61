"""COCO's official annotations as ground truth: objects that overlap, and crowds."""
import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from pycocotools import mask as mask_api

from mmseg_instbox.datasets.coco_file import read_coco_file
from mmseg_instbox.datasets.coco_masks import segmentation_rle
from mmseg_instbox.errors import InvalidInputError, MissingFileError

from .coco_average_precision import CocoRegions
from .pixel_runs import find_runs


class OfficialCoco(NamedTuple):
    """A file of COCO instances: of each image id the ``sizes`` (height, width) and the
    ``annotations`` in the order of the file; and the category ids, ``categories``."""
    ann_file: str
    sizes: dict[int, tuple[int, int]]
    annotations: dict[int, list[dict]]
    categories: set[int]


def read_coco(ann_file: str) -> OfficialCoco:
    """Read a file of COCO instances; a process reads it once.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no JSON file of COCO instances.
    """
    if not os.path.isfile(ann_file):
        raise MissingFileError(f"{ann_file}: no such file; give COCO's instances_*.json, for "
                               "example 'data/coco/annotations/instances_val2017.json'")
    return _read(ann_file, os.stat(ann_file).st_mtime_ns)


def check_categories(coco: OfficialCoco, category_ids: Mapping[int, int],
                     num_things: int) -> None:
    """Check which official categories a data set evaluates.

    Args:
        coco (OfficialCoco): The annotations.
        category_ids (Mapping[int, int]): Index into ``thing_classes`` of each official category
            id; several ids may have one index.
        num_things (int): Number of thing categories.

    Raises:
        ValueError: If there is no id, one is not in the file, or an index not among the things.
    """
    if not category_ids:
        raise InvalidInputError(f"{coco.ann_file}: the data set's metainfo has no category_ids, "
                                'the index into thing_classes of each official category id; use a '
                                'data set that gives them, such as CocoInstDataset')
    unknown = sorted(set(category_ids) - coco.categories)
    if unknown:
        raise InvalidInputError(f"{coco.ann_file}: the data set's category_ids {unknown} are not "
                                f'among the {len(coco.categories)} categories of the file; give '
                                'the file that the data set was made from')
    outside = sorted({index for index in category_ids.values() if not 0 <= index < num_things})
    if outside:
        raise InvalidInputError(f"the data set's category_ids lead to {outside}, but there are "
                                f'{num_things} thing_classes (0 to {num_things - 1})')


def official_regions(masks: np.ndarray, labels: np.ndarray, scores: np.ndarray, coco: OfficialCoco,
                     image_id: int, category_ids: Mapping[int, int]) -> CocoRegions:
    """What COCO's evaluation asks, of an image with official annotations.

    Predictions are taken as they are. Objects keep the order of the file; those of other
    categories than the given ones are left out.

    Args:
        masks (ndarray): Predicted regions, (K, H, W) bool.
        labels (ndarray): Category of each, (K,) int.
        scores (ndarray): Score of each, (K,) float.
        coco (OfficialCoco): The annotations.
        image_id (int): Id of the image in them.
        category_ids (Mapping[int, int]): Category of each official category id that counts.

    Returns:
        CocoRegions: Of all K predictions, and of the objects.

    Raises:
        ValueError: If the annotations have no such image, one of another size or a broken region.
    """
    _check_image(coco, image_id, masks.shape[1:])
    objects = [each for each in coco.annotations[image_id] if each['category_id'] in category_ids]
    truth = [
        segmentation_rle(each['segmentation'], coco.sizes[image_id],
                         f'{coco.ann_file}: annotation {each["id"]}') for each in objects
    ]
    crowd = np.array([each['iscrowd'] for each in objects], dtype=bool)
    return CocoRegions(
        ious=_overlaps(masks, truth, crowd),
        labels=labels,
        scores=scores,
        areas=np.array([np.count_nonzero(mask) for mask in masks], dtype=np.int64),
        gt_labels=np.array([category_ids[each['category_id']] for each in objects], dtype=np.int64),
        gt_areas=np.array([each['area'] for each in objects], dtype=np.float64),
        crowd=crowd)


def _overlaps(masks: np.ndarray, codes: Sequence[dict], crowd: np.ndarray) -> np.ndarray:
    """As ``pycocotools.mask.iou``, (K, G) float64: IoU, or the share of a mask in a crowd."""
    shared, areas = np.zeros((2, len(masks), len(codes)), dtype=np.int64)
    if codes:
        # pycocotools decodes to columns
        runs = find_runs(masks, [cv2.transpose(mask_api.decode(code).T) for code in codes])
        objects = np.stack(runs.maps).astype(np.int64)
        for k, mask in enumerate(runs.masks):
            shared[k], areas[k] = objects[:, mask] @ runs.lengths[mask], runs.lengths[mask].sum()
    unions = areas + mask_api.area(codes) - shared
    return np.divide(shared, np.where(crowd, areas, unions), out=np.zeros(shared.shape),
                     where=shared > 0)


@lru_cache(maxsize=2)
def _read(ann_file: str, changed: int) -> OfficialCoco:
    """``changed``, when the file was written, has a file that was replaced read again."""
    content = read_coco_file(ann_file)
    sizes = {image['id']: (image['height'], image['width']) for image in content['images']}
    annotations = {image_id: [] for image_id in sizes}
    for each in content['annotations']:
        missing = [key for key in ('area', 'iscrowd') if key not in each]
        if missing:
            raise InvalidInputError(f'{ann_file}: annotation {each["id"]} lacks {missing}, which '
                                    'COCO evaluation needs; give a file such as '
                                    'instances_val2017.json')
        annotations[each['image_id']].append(each)
    categories = {each['id'] for each in content['categories']}
    return OfficialCoco(ann_file, sizes, annotations, categories)


def _check_image(coco: OfficialCoco, image_id: int, size: tuple[int, int]) -> None:
    if image_id not in coco.sizes:
        raise InvalidInputError(f'{coco.ann_file} has no image of id {image_id}; give the file '
                                'that the data set was made from')
    if tuple(size) != coco.sizes[image_id]:
        raise InvalidInputError(f'the predicted masks have size {tuple(size)} (height, width), '
                                f'{coco.ann_file} says {coco.sizes[image_id]}; both must be of the '
                                'original image')
