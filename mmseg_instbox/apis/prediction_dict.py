"""A prediction as numbers and strings."""
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..utils.run_lengths import encode_mask

if TYPE_CHECKING:  # predictions of exported models come without MMSegmentation
    from mmseg.structures import SegDataSample


def prediction_dict(sample: 'SegDataSample', thing_classes: Sequence[str],
                    score_thr: float = 0.) -> dict[str, Any]:
    """What was predicted for an image, ready for JSON.

    Args:
        sample: With ``pred_instances``, and ``name``, ``img_path`` and ``ori_shape``.
        thing_classes: Names of the labels.
        score_thr: Instances below are left out.

    Returns:
        dict: ``name``, ``img_path`` (or None), ``height``, ``width``; and for each instance, best
        first, an entry of ``labels`` (index into ``thing_classes``), ``label_names``, ``scores``,
        ``bboxes`` (x1, y1, x2, y2 in pixels, right and bottom edge exclusive) and ``masks`` (COCO's
        RLE, a dict of ``size`` and string ``counts``).
    """
    found = sample.pred_instances
    found = found[found.scores >= score_thr]
    labels = found.labels.tolist()
    return dict(
        name=sample.name,
        img_path=sample.img_path,
        height=int(sample.ori_shape[0]),
        width=int(sample.ori_shape[1]),
        labels=labels,
        label_names=[str(thing_classes[label]) for label in labels],
        scores=found.scores.tolist(),
        bboxes=found.bboxes.tolist(),
        masks=[encode_mask(mask) for mask in found.masks.numpy()])
