"""Mean IoU of categories and AP^r of instances."""
import logging
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmseg.registry import METRICS

from ..functional import average_precision_table, category_areas, match_detections
from ..sample_reader import EvaluatedImage, category_names, ranked_labels, read_image
from .category_table import category_rows, mean_defined, report

THRESHOLDS = tuple(tenths / 10 for tenths in range(1, 10))
REPORTED = (0.5, 0.6, 0.7, 0.8, 0.9)


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
    ``pred_sem_seg`` and ``pred_instances``, all of the original image's size, and keeps no mask.
    List ``InstCocoMetric`` and ``InstPanopticMetric`` beside it for their figures; an image is
    decoded once for all of them.

    A figure that the ground truth leaves undefined is reported as 0 with a warning.

    PASCAL VOC has two ground truths whose figures do not compare, so the configs name them apart
    by ``prefix``. ``sbd/APr_0.5`` is of SBD's ``inst``, what the SDS evaluation uses: every pixel
    belongs to an object or to none, so a prediction pays for each pixel beyond an outline that was
    drawn coarsely. ``voc/APr_0.5`` is of VOC's ``SegmentationObject``: a band of about five pixels
    around each object, and objects that are too hard, are void, where a prediction may do as it
    likes, and a detection that lies in void only does not count at all.

    Args:
        labels_per_instance (int): How many labels of an instance count as detections, each with
            its own score (``pred_instances.label_scores``), as detectors are evaluated. Users get
            one label an instance. Defaults to 3.
        out_file (str, optional): A JSON file to write with the figures and a row a category.
        **kwargs: Arguments of mmengine's ``BaseMetric``: ``prefix`` is put before the names of the
            figures, with a slash, and over the table.
    """

    def __init__(self,
                 labels_per_instance: int = 3,
                 out_file: str | None = None,
                 **kwargs) -> None:
        super().__init__(**kwargs)
        self.labels_per_instance = labels_per_instance
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
            image = read_image(sample, self.dataset_meta)
            areas = category_areas(image.predicted, image.truth, len(classes), image.lengths)
            self.results.append(dict(
                self._match(sample, image, len(things)), areas=np.stack(areas),
                num_invalid=sample['pred_instances'].get('num_invalid', 0)))

    def _match(self, sample: dict, image: EvaluatedImage,
               num_things: int) -> dict[str, np.ndarray]:
        """Which detections, those in void only left out, find an object."""
        index, labels, scores = ranked_labels(sample, image.labels, image.scores,
                                              self.labels_per_instance)
        kept = image.overlap.kept[index]
        index, labels, scores = index[kept], labels[kept], scores[kept].astype(np.float64)
        found = match_detections(image.overlap.ious[index], labels, image.gt_labels, scores,
                                 THRESHOLDS)
        num_objects = np.bincount(image.gt_labels, minlength=num_things)
        return dict(labels=labels, scores=scores, hits=found >= 0, num_objects=num_objects)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Compute the figures of the whole data set.

        Args:
            results (list[dict]): What ``process`` kept, an entry an image.

        Returns:
            OrderedDict[str, float]: ``mIoU``, ``APr_0.5`` to ``APr_0.9`` and ``APr_vol``.
        """
        _warn(results)
        classes, things = category_names(self.dataset_meta)
        shared, union = sum((result['areas'] for result in results), np.zeros((2, len(classes))))
        ious = np.divide(shared, union, out=np.full(len(classes), np.nan), where=union > 0)
        table, num_objects = _average_precisions(results, len(things))
        thing_figures = {f'APr_{limit}': table[:, THRESHOLDS.index(limit)] for limit in REPORTED}
        thing_figures['APr_vol'] = table.mean(1)
        figures = OrderedDict(mIoU=mean_defined(ious, 'mIoU', 'no pixel with a category'))
        for key, values in thing_figures.items():
            figures[key] = mean_defined(values, key, 'no object')
        rows = category_rows(classes, things, dict(IoU=ious),
                             dict(thing_figures, objects=num_objects))
        report(self, figures, rows, len(results))
        return figures


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


def _warn(results: list[dict]) -> None:
    """Log if cells could not be grouped, or nothing is predicted at all."""
    num_invalid = sum(result['num_invalid'] for result in results)
    if num_invalid:
        print_log(f'{num_invalid} cells of the {len(results)} images were left out of the '
                  'grouping: their boxes or scores are not finite, or their boxes have no area',
                  logger='current', level=logging.WARNING)
    if results and not any(len(result['labels']) for result in results):
        print_log(f'the model predicted no instance in any of the {len(results)} images; every '
                  'figure of instances is 0. Has it been trained, and is its grouper not too '
                  'strict?', logger='current', level=logging.WARNING)
