"""COCO's average precision: pycocotools' matching and accumulation on given overlaps."""
import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from .region_iou import RegionOverlap

# name: (index among COCO's IoU thresholds 0.5 to 0.95, index among its ranges of area)
FIGURES = dict(
    AP=(slice(None), 0),
    AP50=(0, 0),
    AP75=(5, 0),
    AP_s=(slice(None), 1),
    AP_m=(slice(None), 2),
    AP_l=(slice(None), 3))


@dataclass(frozen=True)
class CocoRegions:
    """All that COCO's evaluation asks about the K detections and G objects of an image.

    ``ious`` (K, G) float64, for a crowd the share of the detection that lies in it; ``labels``
    (K,) and ``gt_labels`` (G,), categories; ``scores`` (K,); ``areas`` (K,) and ``gt_areas`` (G,)
    in pixels; ``crowd`` (G,) bool.
    """
    ious: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    areas: np.ndarray
    gt_labels: np.ndarray
    gt_areas: np.ndarray
    crowd: np.ndarray


def coco_regions(overlap: RegionOverlap, labels: np.ndarray, scores: np.ndarray,
                 gt_labels: np.ndarray) -> CocoRegions:
    """What COCO's evaluation asks, of an image whose objects are drawn in a map.

    Void pixels are removed from the predictions, as for AP^r. COCO's own way, a crowd region that
    swallows predictions, would count VOC's void borders as false pixels of every prediction that
    reaches into them.

    Args:
        overlap (RegionOverlap): Pixels shared by the K predictions and the G objects.
        labels (ndarray): Category of each prediction, (K,) int.
        scores (ndarray): Score of each prediction, (K,) float.
        gt_labels (ndarray): Category of each object, (G,) int.

    Returns:
        CocoRegions: Of the predictions that do not lie in void only, and of all objects.
    """
    kept = overlap.kept
    return CocoRegions(overlap.ious[kept], labels[kept], scores[kept], overlap.areas[kept],
                       gt_labels, overlap.object_areas, np.zeros(len(gt_labels), dtype=bool))


def coco_average_precision(images: Sequence[CocoRegions],
                           num_things: int) -> dict[str, np.ndarray]:
    """COCO's mask AP of each category, with at most 100 detections an image and category.

    Args:
        images (Sequence[CocoRegions]): The images, in the order in which equal scores count.
        num_things (int): Number of thing categories T.

    Returns:
        dict[str, ndarray]: ``AP`` (mean over IoU 0.5 to 0.95), ``AP50``, ``AP75``, and ``AP_s``,
        ``AP_m`` and ``AP_l`` of objects below 32**2, up to 96**2 and above 96**2 pixels, each
        (T,) float64; nan for categories without such an object.
    """
    figures = {name: np.full(num_things, np.nan) for name in FIGURES}
    with contextlib.redirect_stdout(io.StringIO()):
        # pycocotools asks each image about each category; most images have few of them
        for label, parts in _by_category(images).items():
            evaluation = _GivenOverlaps(parts, 1)
            evaluation.evaluate()
            evaluation.accumulate()
            # (threshold, recall, area); -1 throughout an area without an object
            precision = evaluation.eval['precision'][:, :, 0, :, 0]
            precision = np.where(precision < 0, np.nan, precision)
            for name, (threshold, area) in FIGURES.items():
                figures[name][label] = precision[threshold, ..., area].mean()
    return figures


def _by_category(images: Sequence[CocoRegions]) -> dict[int, list[CocoRegions]]:
    """What each image has of each category, as category 0; images without any are left out."""
    parts: dict[int, list[CocoRegions]] = {}
    for image in images:
        for label in np.union1d(image.labels, image.gt_labels).tolist():
            parts.setdefault(int(label), []).append(_part(image, label))
    return parts


def _part(image: CocoRegions, label: int) -> CocoRegions:
    found, true = image.labels == label, image.gt_labels == label
    return CocoRegions(
        image.ious[np.ix_(found, true)], np.zeros(found.sum(), int), image.scores[found],
        image.areas[found], np.zeros(true.sum(), int), image.gt_areas[true], image.crowd[true])


class _GivenOverlaps(COCOeval):
    """pycocotools' evaluation, of overlaps that were measured when the masks were at hand."""

    def __init__(self, images: Sequence[CocoRegions], num_things: int) -> None:
        self.images = images
        # for 'bbox' it leaves the regions alone, for 'segm' it would want to encode them
        super().__init__(
            _data_set([_objects(image) for image in images], num_things),
            _data_set([_detections(image) for image in images], num_things), 'bbox')
        self.params.maxDets = self.params.maxDets[-1:]

    def computeIoU(self, imgId: int, catId: int) -> np.ndarray | list:
        """Overlap of an image's detections of a category, by falling score, with its objects."""
        objects, detections = self._gts[imgId, catId], self._dts[imgId, catId]
        if not objects or not detections:
            return []
        order = np.argsort([-each['score'] for each in detections], kind='stable')
        rows = [detections[k]['place'] for k in order[:self.params.maxDets[-1]]]
        return self.images[imgId].ious[np.ix_(rows, [each['place'] for each in objects])]


def _detections(image: CocoRegions) -> list[dict]:
    return [
        dict(category_id=label, score=score, area=area) for label, score, area in zip(
            image.labels.tolist(), image.scores.tolist(), image.areas.tolist(), strict=True)
    ]


def _objects(image: CocoRegions) -> list[dict]:
    return [
        dict(category_id=label, area=area, iscrowd=int(crowd)) for label, area, crowd in zip(
            image.gt_labels.tolist(), image.gt_areas.tolist(), image.crowd.tolist(), strict=True)
    ]


def _data_set(images: Sequence[list[dict]], num_things: int) -> COCO:
    """The detections or the objects of all images as pycocotools' data set."""
    data = COCO()
    # ids count from 1: pycocotools takes id 0 for no match
    numbered = [dict(each, image_id=index, place=place) for index, image in enumerate(images)
                for place, each in enumerate(image)]
    data.dataset = dict(
        images=[dict(id=index) for index in range(len(images))],
        categories=[dict(id=label) for label in range(num_things)],
        annotations=[dict(each, id=number) for number, each in enumerate(numbered, 1)])
    data.createIndex()
    return data
