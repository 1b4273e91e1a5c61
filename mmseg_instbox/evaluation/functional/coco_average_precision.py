"""COCO's mask AP by pycocotools, and COCO's official annotations as ground truth."""
import contextlib
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from ...datasets.coco_file import read_coco_file
from ...datasets.coco_masks import describe_object, segmentation_rle
from ...errors import InvalidInputError

# name: (index among COCO's IoU thresholds 0.5 to 0.95, index among its ranges of area)
FIGURES = dict(
    AP=(slice(None), 0),
    AP50=(0, 0),
    AP75=(5, 0),
    AP_s=(slice(None), 1),
    AP_m=(slice(None), 2),
    AP_l=(slice(None), 3))
MAX_DETECTIONS = 100  # of an image and category


def coco_average_precision(truth: dict, predictions: Sequence[dict],
                           num_things: int) -> dict[str, np.ndarray]:
    """Compute COCO's mask AP of each category, with at most 100 detections an image and category.

    Args:
        truth: The objects in COCO's format, of categories 0 to ``num_things`` - 1. Equal scores
            count in the order of the image ids.
        predictions: Detections in COCO's result format, without ``bbox``, from which pycocotools
            would take sizes.

    Returns:
        dict[str, ndarray]: ``AP`` (mean over IoU 0.5 to 0.95), ``AP50``, ``AP75``, and ``AP_s``,
        ``AP_m`` and ``AP_l`` of objects below 32**2, up to 96**2 and above 96**2 pixels, each
        (T,) float64; nan for categories without such an object.
    """
    figures = {name: np.full(num_things, np.nan) for name in FIGURES}
    with contextlib.redirect_stdout(io.StringIO()):
        objects = as_coco(truth)
        found = objects.loadRes(list(predictions)) if predictions else COCO()
        evaluation = COCOeval(objects, found, 'segm')
        evaluation.params.maxDets = [MAX_DETECTIONS]
        images = defaultdict(set)
        for each in (*objects.anns.values(), *found.anns.values()):
            images[each['category_id']].add(each['image_id'])
        # pycocotools asks each image about each category; most images have few of them
        for label, its in images.items():
            evaluation.params.catIds, evaluation.params.imgIds = [label], sorted(its)
            evaluation.evaluate()
            evaluation.accumulate()
            # (threshold, recall, area); -1 throughout an area without an object
            precision = evaluation.eval['precision'][:, :, 0, :, 0]
            precision = np.where(precision < 0, np.nan, precision)
            for name, (threshold, area) in FIGURES.items():
                figures[name][label] = precision[threshold, ..., area].mean()
    return figures


def as_coco(content: dict) -> COCO:
    """Give pycocotools the content of a file in COCO's format, silently."""
    coco = COCO()
    coco.dataset = content
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
    return coco


def read_coco(ann_file: str) -> COCO:
    """Read a file of COCO instances, whose path goes into ``dataset['ann_file']``.

    Raises FileNotFoundError if there is no such file, ValueError if it is not of COCO instances.
    """
    return as_coco(dict(read_coco_file(ann_file), ann_file=ann_file))


def official_instances(coco: COCO, image_id: int,
                       category_ids: Mapping[int, int] | None) -> list[dict]:
    """Describe the objects of an image as mmdet's ``CocoMetric`` takes them.

    ``category_ids`` gives the label of each official category id that counts; objects of others
    are left out. An annotation without ``area`` has that of its mask, one without ``iscrowd`` is no
    crowd.

    Raises:
        ValueError: There is no category id, no such image, or a region is broken.
    """
    ann_file = coco.dataset['ann_file']
    if not category_ids:
        raise InvalidInputError(f"{ann_file}: the data set's metainfo has no category_ids, the "
                                'index into thing_classes of each official category id; use a '
                                'data set that gives them, such as CocoInstDataset')
    if image_id not in coco.imgs:
        raise InvalidInputError(f'{ann_file} has no image of id {image_id}; give the file that '
                                'the data set was made from')
    shape = coco.imgs[image_id]['height'], coco.imgs[image_id]['width']
    return [
        describe_object(
            segmentation_rle(each['segmentation'], shape, f'{ann_file}: annotation {each["id"]}'),
            category_ids[each['category_id']], each.get('iscrowd') or 0, each.get('area'))
        for each in coco.imgToAnns[image_id] if each['category_id'] in category_ids
    ]
