"""Instances as ``supervision.Detections``."""
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import MissingPackageError
from ...utils.foreign_errors import convert_errors
from ...utils.run_lengths import mask_crops
from .result_writer import read_categories, read_instances

if TYPE_CHECKING:
    from supervision import Detections


def to_supervision(sample: Any, dataset_meta: dict, score_thr: float = 0.) -> 'Detections':
    """Turns the instances of a sample into ``supervision.Detections``; arguments as of
    :func:`.write_results`.

    Returns:
        Detections: ``mask`` (N, H, W) bool, ``xyxy`` (N, 4) float32 around the masks, ``class_id``
        (N,) index into ``thing_classes``, ``confidence`` (N,), and ``data['class_name']`` (N,).

    Raises:
        ImportError: supervision is not installed.
        ValueError: See :func:`read_instances`.
    """
    with convert_errors('to_supervision needs another package: pip install supervision',
                        ImportError, to=MissingPackageError):
        from supervision import Detections
    categories = read_categories(dataset_meta)
    instances = read_instances(sample, categories, score_thr)
    masks = np.zeros((len(instances.labels), *instances.shape), dtype=bool)
    boxes = np.zeros((len(masks), 4), dtype=np.float32)
    for mask, box, crop in zip(masks, boxes, mask_crops(instances.masks), strict=True):
        rows, columns = crop.window
        mask[rows, columns] = crop.pixels
        box[:] = columns.start, rows.start, columns.stop, rows.stop
    return Detections(
        xyxy=boxes, mask=masks, confidence=instances.scores, class_id=instances.labels,
        data=dict(class_name=np.array(categories.thing_classes)[instances.labels]))
