"""Mean IoU and AP^r."""
import logging
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmseg.evaluation.metrics import IoUMetric
from mmseg.registry import METRICS, TASK_UTILS
from torch import Tensor

from mmseg_instbox.utils import write_json

from ..functional import (
    VOID_CATEGORY,
    average_precision_table,
    category_rows,
    format_table,
    match_detections,
    region_iou,
    true_category_map,
    true_category_scores,
)
from .sample_reader import (
    category_names,
    check_instances,
    read_category_maps,
    read_objects,
    sample_field,
    sample_name,
)

THRESHOLDS = tuple(tenths / 10 for tenths in range(1, 10))
REPORTED = (0.5, 0.6, 0.7, 0.8, 0.9)
KEEP_BOXES = 'regrouping needs it: set model.test_cfg.keep_boxes=True'


@METRICS.register_module()
class InstBoxMetric(BaseMetric):
    """Mean IoU of categories and mask AP (AP^r) of instances, as fractions from 0 to 1.

    AP^r is that of the SDS evaluation (Hariharan et al., 2014): see
    :func:`~mmseg_instbox.evaluation.functional.match_detections` and
    :func:`~mmseg_instbox.evaluation.functional.average_precision`. Categories without an object
    in the ground truth are left out of its mean; pixels that are void in ``gt_inst_map`` are
    removed from the predictions. Detections of equal score keep the order of the data set.
    Mean IoU is mmseg's, of ``pred_sem_seg``, whatever the grouping.

    It reads from each data sample ``gt_sem_seg``, ``gt_inst_map``, ``gt_instances``,
    ``pred_sem_seg`` and ``pred_instances``, all at the size of the original image, and keeps
    a few numbers an image.

    Args:
        grouper (dict, optional): Config of a grouper in ``TASK_UTILS``. If given, instances are
            grouped again from ``pred_boxes`` and ``pred_scores`` instead of read from
            ``pred_instances``; the model must keep them (``test_cfg.keep_boxes=True``).
        true_categories (bool): Group with the true categories, void counted as category 0, so
            that only the boxes are predicted. Uses ``grouper`` or, without it, a
            ``PixelBoxGrouper`` as it comes. Defaults to False.
        out_file (str, optional): A JSON file to write with the figures and a row a category.
        collect_device (str): 'cpu' or 'gpu', as in mmengine. Defaults to 'cpu'.
        prefix (str, optional): Put before the names of the figures, with a slash.
        collect_dir (str, optional): Where processes exchange results, as in mmengine.
    """

    def __init__(self,
                 grouper: dict | None = None,
                 true_categories: bool = False,
                 out_file: str | None = None,
                 collect_device: str = 'cpu',
                 prefix: str | None = None,
                 collect_dir: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        if true_categories and grouper is None:
            grouper = dict(type='PixelBoxGrouper')
        self.grouper = None if grouper is None else TASK_UTILS.build(grouper)
        self.true_categories = true_categories
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
            result = self._count_pixels(sample, len(classes))
            result.update(self._match_instances(sample, classes, things))
            self.results.append(result)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Figures of the whole data set.

        Args:
            results (list[dict]): What ``process`` kept, an entry an image.

        Returns:
            OrderedDict[str, float]: ``mIoU``, ``APr_0.5`` to ``APr_0.9`` and ``APr_vol``.
        """
        classes, things = category_names(self.dataset_meta)
        ious = _category_ious(results, len(classes))
        table, num_objects = _average_precisions(results, len(things))
        figures = _name_thresholds(table)
        metrics = OrderedDict(mIoU=_mean_defined(ious, 'mIoU', 'no pixel with a category'))
        for key, values in figures.items():
            metrics[key] = _mean_defined(values, key, 'no object')
        rows = category_rows(classes, things, ious, figures, num_objects)
        print_log(f'per category, {len(results)} images:\n{format_table(rows)}', logger='current')
        if self.out_file is not None:
            write_json(dict(metrics=metrics, categories=rows), self.out_file)
        return metrics

    def _count_pixels(self, sample: dict, num_classes: int) -> dict[str, np.ndarray]:
        """Intersection and union of each category, (C,) int64."""
        predicted, truth = read_category_maps(sample, num_classes)
        areas = IoUMetric.intersect_and_union(predicted, truth, num_classes, VOID_CATEGORY)
        return dict(intersect=areas[0].long().numpy(), union=areas[1].long().numpy())

    def _match_instances(self, sample: dict, classes: Sequence[str],
                         things: Sequence[str]) -> dict[str, np.ndarray]:
        """Detections that are not void, and which of them find an object at each threshold."""
        inst_map, ids, gt_labels = read_objects(sample, len(things))
        instances = self._instances(sample, classes, things)
        check_instances(sample, instances, inst_map, len(things))
        masks = instances['masks']
        ious, kept = _region_iou(sample, masks, inst_map.to(masks.device), ids.to(masks.device))
        labels = _to_numpy(instances['labels'][kept])
        scores = _to_numpy(instances['scores'][kept].double())
        gt_labels = _to_numpy(gt_labels)
        hits = match_detections(_to_numpy(ious[kept]), labels, gt_labels, scores, THRESHOLDS)
        num_objects = np.bincount(gt_labels, minlength=len(things))
        return dict(labels=labels, scores=scores, hits=hits, num_objects=num_objects)

    def _instances(self, sample: dict, classes: Sequence[str], things: Sequence[str]) -> dict:
        """The predicted instances, or those grouped again from the boxes."""
        if self.grouper is None:
            return sample_field(sample, 'pred_instances')
        boxes = sample_field(sample, 'pred_boxes', KEEP_BOXES)['data']
        scores = sample_field(sample, 'pred_scores', KEEP_BOXES)['data']
        extent = sample_field(sample, 'grid_extent', KEEP_BOXES)
        thing_ids = [classes.index(name) for name in things]
        truth = sample_field(sample, 'gt_sem_seg')['data'][0].to(scores.device)
        seg_map = None
        if self.true_categories:
            _check_background(classes, thing_ids)
            seg_map = true_category_map(truth)
            scores = true_category_scores(seg_map, boxes.shape[-2:], extent, len(classes))
        return self.grouper(
            scores, boxes, tuple(truth.shape), thing_ids, extent=extent, seg_map=seg_map)


def _region_iou(sample: dict, masks: Tensor, inst_map: Tensor,
                ids: Tensor) -> tuple[Tensor, Tensor]:
    """``region_iou`` whose error names the image."""
    try:
        return region_iou(masks, inst_map, ids)
    except ValueError as error:
        raise ValueError(f'{sample_name(sample)}: {error}') from error


def _check_background(classes: Sequence[str], thing_ids: Sequence[int]) -> None:
    if 0 in thing_ids:
        raise ValueError(f"true_categories counts void as category 0, but that is '{classes[0]}', "
                         'a thing; it needs a data set whose category 0 has no instances')


def _to_numpy(values: Tensor) -> np.ndarray:
    return values.detach().cpu().numpy()


def _category_ious(results: list[dict], num_classes: int) -> np.ndarray:
    """IoU of each category over all images, (C,) float64; nan where neither map has it."""
    intersect, union = np.zeros((2, num_classes), dtype=np.int64)
    for result in results:
        intersect += result['intersect']
        union += result['union']
    return np.divide(intersect, union, out=np.full(num_classes, np.nan), where=union > 0)


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


def _mean_defined(values: np.ndarray, name: str, lacking: str) -> float:
    """Mean over the categories that occur; 0, and said so, if none does."""
    if np.isnan(values).all():
        print_log(f'{name} is not defined: {lacking} in the ground truth; 0 is reported',
                  logger='current', level=logging.WARNING)
        return 0.
    return float(np.nanmean(values))
