"""Panoptic quality of instances over a category map."""
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from mmseg.registry import METRICS

from ..functional import panoptic_counts, panoptic_quality, predicted_segments, true_segments
from ..sample_reader import category_names, read_image
from .category_table import category_rows, mean_defined, report


@METRICS.register_module()
class InstPanopticMetric(BaseMetric):
    """Panoptic quality: ``PQ``, ``SQ`` and ``RQ``, and ``PQ_things`` and ``PQ_stuff``.

    Stuff is every category without instances, background included. Instances lie over the stuff of
    ``pred_sem_seg``: see :func:`~mmseg_instbox.evaluation.functional.predicted_segments`. It reads
    the same fields as ``InstBoxMetric``. A figure that the ground truth leaves undefined is
    reported as 0 with a warning.

    Args:
        out_file (str, optional): A JSON file to write with the figures and a row a category.
        **kwargs: Arguments of mmengine's ``BaseMetric``.
    """

    def __init__(self, out_file: str | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.out_file = out_file

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Count matched, false and missed segments of each image.

        Args:
            data_batch (dict): The batch as the loader gave it; not used.
            data_samples (Sequence[dict]): Data samples with predictions, as dicts.

        Raises:
            TypeError: If masks are not bool.
            ValueError: If a field is missing, a size does not fit or a category is unknown.
        """
        classes, things = category_names(self.dataset_meta)
        thing_ids = [classes.index(name) for name in things]
        for sample in data_samples:
            image = read_image(sample, self.dataset_meta)
            predicted = predicted_segments(image.masks, image.labels, image.scores,
                                           image.predicted, thing_ids, len(classes))
            true = true_segments(image.inst_map, image.ids, image.gt_labels, image.truth,
                                 thing_ids, len(classes))
            self.results.append(panoptic_counts(predicted, true, len(classes), image.lengths))

    def compute_metrics(self, results: list[np.ndarray]) -> dict[str, float]:
        """Compute the figures of the whole data set.

        Args:
            results (list[ndarray]): The counts (4, C) of each image.

        Returns:
            OrderedDict[str, float]: The figures, means over the categories with a segment.
        """
        classes, things = category_names(self.dataset_meta)
        thing_ids = [classes.index(name) for name in things]
        quality = panoptic_quality(sum(results, np.zeros((4, len(classes)))))
        parts = dict(quality, PQ_things=quality['PQ'][thing_ids],
                     PQ_stuff=np.delete(quality['PQ'], thing_ids))
        figures = OrderedDict((key, mean_defined(values, key, 'no segment'))
                              for key, values in parts.items())
        report(self, figures, category_rows(classes, things, quality, {}), len(results))
        return figures
