"""COCO's average precision, computed by pycocotools from run-length encoded masks."""
import contextlib
import io
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from pycocotools import mask as mask_api
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor

from .region_iou import VOID_ID

# name: (index among COCO's IoU thresholds 0.5 to 0.95, index among its ranges of area)
FIGURES = dict(
    AP=(slice(None), 0),
    AP50=(0, 0),
    AP75=(5, 0),
    AP_s=(slice(None), 1),
    AP_m=(slice(None), 2),
    AP_l=(slice(None), 3))


def encode_regions(masks: Tensor, labels: Sequence[int], scores: Sequence[float], inst_map: Tensor,
                   ids: Tensor, gt_labels: Sequence[int]) -> dict:
    """Keep what COCO's evaluation needs of an image, masks run-length encoded.

    Void pixels are removed from the predictions, as for AP^r. COCO's own way, a crowd region that
    swallows predictions, would count VOC's void borders as false pixels of every prediction that
    reaches into them.

    Args:
        masks (Tensor): Predicted regions, (K, H, W) bool, without those that lie in void only.
        labels (Sequence[int]): Their K categories.
        scores (Sequence[float]): Their K scores.
        inst_map (Tensor): Object id of each pixel, (H, W) integer, 255 is void.
        ids (Tensor): Ids of the G objects, (G,) integer.
        gt_labels (Sequence[int]): Categories of the G objects.

    Returns:
        dict: ``size`` (H, W), and ``detections`` and ``objects``: lists of annotations with
        ``category_id``, ``segmentation``, ``area`` in pixels, and ``score`` or ``iscrowd``.
    """
    found = _encode(masks & (inst_map != VOID_ID))
    truth = _encode(inst_map == ids.to(inst_map)[:, None, None])
    detections = [
        dict(_annotation(region, label), score=float(score))
        for region, label, score in zip(found, labels, scores, strict=True)
    ]
    objects = [
        dict(_annotation(region, label), iscrowd=0)
        for region, label in zip(truth, gt_labels, strict=True)
    ]
    return dict(size=tuple(inst_map.shape), detections=detections, objects=objects)


def coco_average_precision(images: Sequence[dict], num_things: int) -> dict[str, np.ndarray]:
    """COCO's mask AP of each category, with at most 100 detections an image and category.

    Args:
        images (Sequence[dict]): What :func:`encode_regions` kept, an entry an image, in data set
            order, which also is the order of equal scores.
        num_things (int): Number of thing categories.

    Returns:
        dict[str, ndarray]: ``AP`` (mean over IoU 0.5 to 0.95), ``AP50``, ``AP75``, and ``AP_s``,
        ``AP_m`` and ``AP_l`` of objects below 32**2, up to 96**2 and above 96**2 pixels, each
        (T,) float64; nan for categories without such an object.
    """
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(
            _data_set(images, 'objects', num_things), _data_set(images, 'detections', num_things),
            'segm')
        evaluation.params.maxDets = evaluation.params.maxDets[-1:]
        evaluation.evaluate()
        evaluation.accumulate()
    # (threshold, recall, category, area); -1 throughout a category and area without an object
    precision = evaluation.eval['precision'][..., 0]
    precision = np.where(precision < 0, np.nan, precision)
    return {
        name: precision[threshold, :, :, area].reshape(-1, num_things).mean(0)
        for name, (threshold, area) in FIGURES.items()
    }


def _encode(masks: Tensor) -> list[dict]:
    """Run-length codes of masks (K, H, W) bool; the coder reads columns first."""
    columns = masks.transpose(1, 2).contiguous().cpu().numpy().view(np.uint8)
    return mask_api.encode(columns.transpose(2, 1, 0))


def _annotation(region: dict, label: int) -> dict:
    return dict(category_id=int(label), segmentation=region, area=int(mask_api.area(region)))


def _data_set(images: Sequence[dict], kind: str, num_things: int) -> COCO:
    """The detections or the objects of all images as pycocotools' data set."""
    data = COCO()
    data.dataset = dict(
        images=[dict(id=index, height=image['size'][0], width=image['size'][1])
                for index, image in enumerate(images)],
        categories=[dict(id=label) for label in range(num_things)],
        annotations=list(_numbered(image[kind] for image in images)))
    data.createIndex()
    return data


def _numbered(groups: Iterable[list[dict]]) -> Iterator[dict]:
    """Annotations with their image and an id; 0 is no id, pycocotools takes it for no match."""
    number = 0
    for index, annotations in enumerate(groups):
        for annotation in annotations:
            number += 1
            yield dict(annotation, id=number, image_id=index)
