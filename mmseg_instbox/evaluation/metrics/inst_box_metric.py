"""Mean IoU, AP^r, and if wanted COCO's AP and panoptic quality."""
import logging
from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmseg.registry import METRICS, TASK_UTILS

from mmseg_instbox.errors import InvalidInputError
from mmseg_instbox.utils import write_json

from ..functional import (
    VOID_CATEGORY,
    CocoRegions,
    RegionOverlap,
    average_precision_table,
    category_areas,
    category_ious,
    category_rows,
    check_categories,
    coco_average_precision,
    coco_regions,
    find_runs,
    format_table,
    match_detections,
    official_regions,
    panoptic_counts,
    panoptic_quality,
    predicted_segments,
    read_coco,
    region_overlap,
    true_category_map,
    true_category_scores,
    true_segments,
)
from .sample_reader import (
    category_names,
    check_instances,
    errors_name,
    read_category_maps,
    read_image_id,
    read_objects,
    sample_field,
    to_numpy,
)

THRESHOLDS = tuple(tenths / 10 for tenths in range(1, 10))
REPORTED = (0.5, 0.6, 0.7, 0.8, 0.9)
SIZES = dict(AP_s=' below 32 x 32 pixels', AP_m=' of 32 x 32 to 96 x 96 pixels',
             AP_l=' above 96 x 96 pixels')
KEEP_BOXES = 'regrouping needs it: set model.test_cfg.keep_boxes=True'


class _Image(NamedTuple):
    """An image as R runs of pixels: K predictions, the two category maps, and G objects."""
    masks: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    predicted: np.ndarray
    truth: np.ndarray
    inst_map: np.ndarray
    ids: np.ndarray
    gt_labels: np.ndarray
    lengths: np.ndarray


@METRICS.register_module()
class InstBoxMetric(BaseMetric):
    """Mean IoU of categories and mask AP (AP^r) of instances, as fractions from 0 to 1.

    If wanted also COCO's mask AP and panoptic quality, of the same instances.

    AP^r is that of the SDS evaluation (Hariharan et al., 2014): see
    :func:`~mmseg_instbox.evaluation.functional.match_detections` and
    :func:`~mmseg_instbox.evaluation.functional.average_precision`. Categories without an object
    in the ground truth are left out of its mean; pixels that are void in ``gt_inst_map`` are
    removed from the predictions. Detections of equal score keep the order of the data set.
    Mean IoU is mmseg's, of ``pred_sem_seg``, whatever the grouping.

    It reads from each data sample ``gt_sem_seg``, ``gt_inst_map``, ``gt_instances``,
    ``pred_sem_seg`` and ``pred_instances``, all of the original image's size, and keeps no mask.

    A figure that the ground truth leaves undefined, such as ``AP_l`` without large objects, is
    reported as 0 with a warning.

    PASCAL VOC has two ground truths whose figures do not compare, so the configs name them apart
    by ``prefix``. ``sbd/APr_0.5`` is of SBD's ``inst``, what the SDS evaluation uses: every pixel
    belongs to an object or to none, so a prediction pays for each pixel beyond an outline that was
    drawn coarsely. ``voc/APr_0.5`` is of VOC's ``SegmentationObject``: a band of about five pixels
    around each object, and objects that are too hard, are void, where a prediction may do as it
    likes, and a detection that lies in void only does not count at all.

    Args:
        grouper (dict, optional): Config of a grouper in ``TASK_UTILS``. If given, instances are
            grouped again from ``pred_boxes`` and ``pred_scores`` instead of read from
            ``pred_instances``; the model must keep them (``test_cfg.keep_boxes=True``).
        true_categories (bool): Group with the true categories, void counted as category 0, so
            that only the boxes are predicted. Uses ``grouper`` or, without it, a
            ``PixelBoxGrouper`` as it comes. Defaults to False.
        coco (bool): Also report ``AP``, ``AP50``, ``AP75``, ``AP_s``, ``AP_m`` and ``AP_l`` as
            pycocotools computes them, on the instances of AP^r: void pixels are removed from the
            predictions. Sizes are areas of masks. Defaults to False.
        ann_file (str, optional): COCO's own file of instances, such as
            ``instances_val2017.json``. If given, the figures of ``coco`` are of its annotations,
            objects that overlap and crowds as they are, for all images of the data set, and the
            predictions are taken whole; equal scores then count in the order of image ids. Needs
            ``img_id`` in each data sample and ``category_ids`` in the data set's metainfo, the
            index into ``thing_classes`` of each official category id. AP^r, mean IoU and panoptic
            quality stay those of the maps.
        panoptic (bool): Also report ``PQ``, ``SQ`` and ``RQ``, and ``PQ_things`` and ``PQ_stuff``,
            where stuff is every category without instances, background included. Instances lie
            over the stuff of ``pred_sem_seg`` (of the truth with ``true_categories``): see
            :func:`~mmseg_instbox.evaluation.functional.predicted_segments`. Defaults to False.
        out_file (str, optional): A JSON file to write with the figures and a row a category.
        collect_device (str): 'cpu' or 'gpu', as in mmengine. Defaults to 'cpu'.
        prefix (str, optional): Put before the names of the figures, with a slash, and over the
            table.
        collect_dir (str, optional): Where processes exchange results, as in mmengine.

    Raises:
        FileNotFoundError: If ``ann_file`` is missing.
        ValueError: If ``ann_file`` is no file of COCO instances or comes without ``coco``.
    """

    def __init__(self,
                 grouper: dict | None = None,
                 true_categories: bool = False,
                 coco: bool = False,
                 ann_file: str | None = None,
                 panoptic: bool = False,
                 out_file: str | None = None,
                 collect_device: str = 'cpu',
                 prefix: str | None = None,
                 collect_dir: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        if true_categories and grouper is None:
            grouper = dict(type='PixelBoxGrouper')
        self.grouper = None if grouper is None else TASK_UTILS.build(grouper)
        self.true_categories = true_categories
        if ann_file is not None:
            if not coco:
                raise InvalidInputError(f'ann_file {ann_file} serves coco alone: set coco=True')
            read_coco(ann_file)
        self.coco = coco
        self.ann_file = ann_file
        self.panoptic = panoptic
        self.out_file = out_file

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Match the instances of each image and count its pixels.

        Args:
            data_batch (dict): The batch as the loader gave it; not used.
            data_samples (Sequence[dict]): Data samples with predictions, as dicts.

        Raises:
            TypeError: If masks are not bool.
            ValueError: If a field is missing, a size does not fit or a category is unknown.
        """
        classes, things = category_names(self.dataset_meta)
        for sample in data_samples:
            self.results.append(self._count(sample, classes, things))

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Figures of the whole data set.

        Args:
            results (list[dict]): What ``process`` kept, an entry an image.

        Returns:
            OrderedDict[str, float]: ``mIoU``, ``APr_0.5`` to ``APr_0.9`` and ``APr_vol``, then
            the figures of ``coco`` and of ``panoptic``.
        """
        classes, things = category_names(self.dataset_meta)
        table, num_objects = _average_precisions(results, len(things))
        class_figures = dict(IoU=category_ious(
            [(result['intersect'], result['union']) for result in results], len(classes)))
        thing_figures = _name_thresholds(table)
        if self.coco:
            images = self._coco_images(results)
            thing_figures.update(coco_average_precision(images, len(things)))
        _warn(results)
        metrics = OrderedDict(
            mIoU=_mean_defined(class_figures['IoU'], 'mIoU', 'no pixel with a category'))
        for key, values in thing_figures.items():
            lacking = f'no object{SIZES.get(key, "")}'
            metrics[key] = _mean_defined(values, key, lacking)
        if self.panoptic:
            counts = sum((result['panoptic'] for result in results), np.zeros((4, len(classes))))
            quality = panoptic_quality(counts)
            class_figures.update(quality)
            metrics.update(_panoptic_means(quality, _indices(classes, things)))
        rows = category_rows(classes, things, class_figures, thing_figures, num_objects)
        self._report(metrics, rows, len(results))
        return metrics

    def _report(self, metrics: dict[str, float], rows: list[dict], num_images: int) -> None:
        """Log the table and write the file, the figures named as in the log."""
        title, slash = (f'{self.prefix}, ', f'{self.prefix}/') if self.prefix else ('', '')
        text = f'{title}per category, {num_images} images:\n{format_table(rows)}'
        print_log(text, logger='current')
        if self.out_file is not None:
            named = {f'{slash}{key}': value for key, value in metrics.items()}
            write_json(dict(metrics=named, categories=rows), self.out_file)

    def _count(self, sample: dict, classes: Sequence[str], things: Sequence[str]) -> dict:
        """What is kept of an image."""
        predicted, truth = read_category_maps(sample, len(classes))
        inst_map, *objects = read_objects(sample, len(things))
        instances = self._instances(sample, classes, things)
        check_instances(sample, instances, inst_map, len(things))
        masks, *found = (to_numpy(instances[key]) for key in ('masks', 'labels', 'scores'))
        runs = find_runs(masks, (predicted, truth, inst_map))
        image = _Image(runs.masks, *found, *runs.maps, *objects, runs.lengths)
        with errors_name(sample):
            overlap = region_overlap(image.masks, image.inst_map, image.ids, image.lengths)
        result = _match_instances(overlap, image, len(things))
        areas = category_areas(image.predicted, image.truth, len(classes), image.lengths)
        result.update(intersect=areas[0], union=areas[1],
                      num_invalid=instances.get('num_invalid', 0))
        if self.ann_file is not None:
            result.update(self._count_official(sample, masks, *found, len(things)))
        elif self.coco:
            result['coco'] = coco_regions(overlap, image.labels, image.scores, image.gt_labels)
        if self.panoptic:
            result['panoptic'] = self._count_segments(image, _indices(classes, things),
                                                      len(classes))
        return result

    def _count_official(self, sample: dict, masks: np.ndarray, labels: np.ndarray,
                        scores: np.ndarray, num_things: int) -> dict:
        """What COCO's evaluation needs of an image that ``ann_file`` knows."""
        coco, image_id = read_coco(self.ann_file), read_image_id(sample)
        category_ids = self.dataset_meta.get('category_ids', {})
        with errors_name(sample):
            check_categories(coco, category_ids, num_things)
            return dict(image_id=image_id, coco=official_regions(
                masks, labels, scores, coco, image_id, category_ids))

    def _count_segments(self, image: _Image, thing_ids: Sequence[int],
                        num_classes: int) -> np.ndarray:
        """Matched, false and missed segments of the panoptic maps, (4, C)."""
        seg_map = image.predicted
        if self.true_categories:
            seg_map = np.where(image.truth == VOID_CATEGORY, 0, image.truth)
        predicted = predicted_segments(
            image.masks, image.labels, image.scores, seg_map, thing_ids, num_classes)
        true = true_segments(
            image.inst_map, image.ids, image.gt_labels, image.truth, thing_ids, num_classes)
        return panoptic_counts(predicted, true, num_classes, image.lengths)

    def _coco_images(self, results: list[dict]) -> list[CocoRegions]:
        """The images in the order in which equal scores count."""
        if self.ann_file is not None:
            results = sorted(results, key=lambda result: result['image_id'])
            for one, other in pairwise(result['image_id'] for result in results):
                if one == other:
                    raise InvalidInputError(f'the image of id {one} was evaluated twice; ann_file '
                                            'needs a data set that holds each image once')
        return [result['coco'] for result in results]

    def _instances(self, sample: dict, classes: Sequence[str], things: Sequence[str]) -> dict:
        """The predicted instances, or those grouped again from the boxes."""
        if self.grouper is None:
            return sample_field(sample, 'pred_instances')
        boxes = sample_field(sample, 'pred_boxes', KEEP_BOXES)['data']
        scores = sample_field(sample, 'pred_scores', KEEP_BOXES)['data']
        extent = sample_field(sample, 'grid_extent', KEEP_BOXES)
        thing_ids = _indices(classes, things)
        truth = sample_field(sample, 'gt_sem_seg')['data'][0].to(scores.device)
        seg_map = None
        if self.true_categories:
            _check_background(classes, thing_ids)
            seg_map = true_category_map(truth)
            scores = true_category_scores(seg_map, boxes.shape[-2:], extent, len(classes))
        return self.grouper(
            scores, boxes, tuple(truth.shape), thing_ids, extent=extent, seg_map=seg_map)


def _match_instances(overlap: RegionOverlap, image: _Image,
                     num_things: int) -> dict[str, np.ndarray]:
    """Which detections, those in void only left out, find an object."""
    kept, gt_labels = overlap.kept, image.gt_labels
    labels, scores = image.labels[kept], image.scores[kept].astype(np.float64)
    hits = match_detections(overlap.ious[kept], labels, gt_labels, scores, THRESHOLDS)
    num_objects = np.bincount(gt_labels, minlength=num_things)
    return dict(labels=labels, scores=scores, hits=hits, num_objects=num_objects)


def _check_background(classes: Sequence[str], thing_ids: Sequence[int]) -> None:
    if 0 in thing_ids:
        raise InvalidInputError('true_categories counts void as category 0; it needs a data set '
                                f"whose category 0 has no instances, not '{classes[0]}', a thing")


def _indices(classes: Sequence[str], things: Sequence[str]) -> list[int]:
    """Index among the classes of each thing class."""
    return [classes.index(name) for name in things]


def _average_precisions(results: list[dict], num_things: int) -> tuple[np.ndarray, np.ndarray]:
    """AP of each category and threshold, (C, T), and the number of objects of each, (C,)."""
    nothing = dict(labels=np.zeros(0, int), scores=np.zeros(0),
                   hits=np.zeros((0, len(THRESHOLDS)), bool),
                   num_objects=np.zeros(num_things, int))
    entries = [nothing, *results]
    labels, scores, hits = (
        np.concatenate([entry[key] for entry in entries]) for key in ('labels', 'scores', 'hits'))
    num_objects = sum(entry['num_objects'] for entry in entries)
    return average_precision_table(labels, scores, hits, num_objects), num_objects


def _name_thresholds(table: np.ndarray) -> dict[str, np.ndarray]:
    """Columns of the AP table by the names under which they are reported."""
    figures = {f'APr_{limit}': table[:, THRESHOLDS.index(limit)] for limit in REPORTED}
    figures['APr_vol'] = table.mean(1)
    return figures


def _warn(results: list[dict]) -> None:
    """Say so if cells could not be grouped, or nothing is predicted at all."""
    num_invalid = sum(result['num_invalid'] for result in results)
    if num_invalid:
        print_log(f'{num_invalid} cells of the {len(results)} images were left out of the '
                  'grouping: their boxes or scores are not finite, or their boxes have no area',
                  logger='current', level=logging.WARNING)
    if results and not any(len(result['labels']) for result in results):
        print_log(f'the model predicted no instance in any of the {len(results)} images; every '
                  'figure of instances is 0. Has it been trained, and is its grouper not too '
                  'strict?', logger='current', level=logging.WARNING)


def _panoptic_means(quality: dict[str, np.ndarray], thing_ids: list[int]) -> dict[str, float]:
    """Panoptic figures over all categories, and PQ over things and over stuff."""
    figures = dict(
        quality, PQ_things=quality['PQ'][thing_ids], PQ_stuff=np.delete(quality['PQ'], thing_ids))
    return {key: _mean_defined(values, key, 'no segment') for key, values in figures.items()}


def _mean_defined(values: np.ndarray, name: str, lacking: str) -> float:
    """Mean over the categories that occur; 0, and said so, if none does."""
    if np.isnan(values).all():
        print_log(f'{name} is not defined: {lacking} in the ground truth; 0 is reported',
                  logger='current', level=logging.WARNING)
        return 0.
    return float(np.nanmean(values))
