"""Instances as ``supervision.Detections``."""
from typing import TYPE_CHECKING

import numpy as np
import torch
from mmseg.structures import SegDataSample

from mmseg_instbox.core.painting import mask_boxes
from mmseg_instbox.errors import MissingPackageError

from .categories import read_categories
from .prediction import read_prediction

if TYPE_CHECKING:
    from supervision import Detections


def to_supervision(sample: SegDataSample, dataset_meta: dict,
                   score_thr: float = 0.) -> 'Detections':
    """Make ``supervision.Detections`` of the instances of a sample.

    Args:
        sample: With ``pred_instances``.
        dataset_meta: ``classes`` and ``thing_classes``.
        score_thr: Instances of a lower score are left out.

    Returns:
        Detections: ``mask`` (N, H, W) bool, ``xyxy`` (N, 4) float32 around the masks, ``class_id``
        (N,) index into ``thing_classes``, ``confidence`` (N,), and ``data['class_name']`` (N,).

    Raises:
        ImportError: If supervision is not installed.
        ValueError: See :func:`read_prediction`.
    """
    try:
        from supervision import Detections
    except ImportError as error:
        raise MissingPackageError('to_supervision makes objects of the package supervision, which '
                                  'is not installed: pip install supervision') from error
    categories = read_categories(dataset_meta)
    prediction = read_prediction(sample, categories, score_thr)
    masks = np.array(prediction.masks, dtype=bool).reshape(-1, *prediction.shape)
    names = np.array(categories.thing_classes)
    return Detections(
        xyxy=mask_boxes(torch.from_numpy(masks)).numpy(),
        mask=masks,
        confidence=prediction.scores,
        class_id=prediction.labels,
        data=dict(class_name=names[prediction.labels]))
