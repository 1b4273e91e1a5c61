"""Panoptic quality of instances over a category map."""
import numpy as np
from mmseg.registry import METRICS

from ..functional import panoptic_quality as panoptic
from ..sample_reader import EvaluatedImage, category_names
from .base_metric import InstMetric, means, report


@METRICS.register_module()
class InstPanopticMetric(InstMetric):
    """Panoptic quality: ``PQ``, ``SQ`` and ``RQ``, and ``PQ_things`` and ``PQ_stuff``.

    Stuff is every category without instances, background included. Instances lie over the stuff of
    ``pred_sem_seg``: see :func:`~.functional.panoptic_quality.predicted_segments`. It reads the
    same fields as ``InstBoxMetric``. A figure that the ground truth leaves undefined is reported as
    0 with a warning.

    Args:
        **kwargs: ``out_file``, ``prefix`` and more, see :class:`InstMetric`.
    """

    figures = ('PQ', 'SQ', 'RQ', 'PQ_things', 'PQ_stuff')

    def measure(self, sample: dict, image: EvaluatedImage) -> np.ndarray:
        """Count matched, false and missed segments of an image, (4, C)."""
        classes, _, thing_ids = category_names(self.dataset_meta)
        predicted = panoptic.predicted_segments(image.masks, image.labels, image.scores,
                                                image.predicted, thing_ids, len(classes))
        true = panoptic.true_segments(image.inst_map, image.ids, image.gt_labels, image.truth,
                                      thing_ids, len(classes))
        return panoptic.panoptic_counts(predicted, true, len(classes), image.lengths)

    def compute_metrics(self, results: list[np.ndarray]) -> dict[str, float]:
        """Compute the figures of the whole data set, means over the categories with a segment."""
        thing_ids = category_names(self.dataset_meta)[2]
        quality = panoptic.panoptic_quality(sum(results))
        figures = means(dict(quality, PQ_things=quality['PQ'][thing_ids],
                             PQ_stuff=np.delete(quality['PQ'], thing_ids)), 'no segment')
        return report(self, figures, len(results), quality, {})
