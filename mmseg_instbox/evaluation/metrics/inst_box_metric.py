"""Mean IoU of categories and AP^r of instances."""
import logging

import numpy as np
from mmengine.logging import print_log
from mmseg.registry import METRICS

from ..functional.average_precision import average_precision_table, match_detections
from ..functional.pixel_counts import category_areas
from ..sample_reader import EvaluatedImage, category_names, ranked_labels
from .base_metric import InstMetric, means, report

THRESHOLDS = tuple(tenths / 10 for tenths in range(1, 10))
REPORTED = (0.5, 0.6, 0.7, 0.8, 0.9)


@METRICS.register_module()
class InstBoxMetric(InstMetric):
    """Mean IoU of categories and mask AP (AP^r) of instances, as fractions from 0 to 1.

    AP^r is that of the SDS evaluation (Hariharan et al., 2014): see
    :func:`~mmseg_instbox.evaluation.functional.average_precision.match_detections`. Categories
    without an object in the ground truth are left out of its mean; pixels that are void in
    ``gt_inst_map`` are removed from the predictions. Detections of equal score keep the order of
    the data set. Mean IoU is mmseg's, of ``pred_sem_seg``, whatever the grouping. A figure that the
    ground truth leaves undefined is reported as 0 with a warning.

    It reads from each data sample ``gt_sem_seg``, ``gt_inst_map``, ``gt_instances``,
    ``pred_sem_seg`` and ``pred_instances``, all of the original image's size, and keeps no mask.
    List ``InstCocoMetric`` and ``InstPanopticMetric`` beside it for their figures.

    Args:
        labels_per_instance (int): How many labels of an instance count as detections, each with
            its own score (``pred_instances.label_scores``), as detectors are evaluated. Users get
            one label an instance. Defaults to 3.
        **kwargs: ``out_file``, ``prefix`` and more, see :class:`InstMetric`.
    """

    figures = ('mIoU', *(f'APr_{limit}' for limit in REPORTED), 'APr_vol')

    def __init__(self, labels_per_instance: int = 3, **kwargs) -> None:
        super().__init__(**kwargs)
        self.labels_per_instance = labels_per_instance

    def measure(self, sample: dict, image: EvaluatedImage) -> dict:
        """Match the instances of an image, those in void only left out, and count its pixels."""
        classes, things, _ = category_names(self.dataset_meta)
        index, labels, scores = ranked_labels(sample, image.labels, image.scores,
                                              self.labels_per_instance)
        kept = image.overlap.kept[index]
        index, labels, scores = index[kept], labels[kept], scores[kept].astype(np.float64)
        found = match_detections(image.overlap.ious[index], labels, image.gt_labels, scores,
                                 THRESHOLDS)
        areas = category_areas(image.predicted, image.truth, len(classes), image.lengths)
        return dict(labels=labels, scores=scores, hits=found >= 0, areas=np.stack(areas),
                    num_objects=np.bincount(image.gt_labels, minlength=len(things)),
                    num_invalid=sample['pred_instances'].get('num_invalid', 0))

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Compute ``mIoU``, ``APr_0.5`` to ``APr_0.9`` and ``APr_vol`` of the whole data set."""
        num_invalid = sum(result['num_invalid'] for result in results)
        if num_invalid:
            print_log(f'{num_invalid} cells of the {len(results)} images were left out of the '
                      'grouping: their probabilities are nan, or their boxes are not finite or '
                      'have no area',
                      logger='current', level=logging.WARNING)
        if not any(len(result['labels']) for result in results):
            print_log(f'the model predicted no instance in any of the {len(results)} images; every '
                      'figure of instances is 0. Has it been trained, and is its grouper not too '
                      'strict?', logger='current', level=logging.WARNING)
        shared, union = sum(result['areas'] for result in results)
        ious = np.divide(shared, union, out=np.full(len(union), np.nan), where=union > 0)
        labels, scores, hits = (np.concatenate([result[key] for result in results])
                                for key in ('labels', 'scores', 'hits'))
        num_objects = sum(result['num_objects'] for result in results)
        table = average_precision_table(labels, scores, hits, num_objects)
        thing_figures = {f'APr_{limit}': table[:, THRESHOLDS.index(limit)] for limit in REPORTED}
        thing_figures['APr_vol'] = table.mean(1)
        figures = means(dict(mIoU=ious), 'no pixel with a category')
        figures.update(means(thing_figures, 'no object'))
        return report(self, figures, len(results), dict(IoU=ious),
                      dict(thing_figures, objects=num_objects))
