"""What the formats take from a data sample."""
from typing import NamedTuple

import numpy as np
import torch
from mmseg.structures import SegDataSample

from mmseg_instbox.errors import InvalidInputError
from mmseg_instbox.evaluation.functional.panoptic_quality import predicted_segments

from .categories import Categories


class Prediction(NamedTuple):
    """Instances of an image of ``shape`` (height, width): ``masks``, N arrays (H, W) bool, none of
    them empty, ``labels`` (N,) int64 index into ``thing_classes``, ``scores`` (N,) float32."""
    masks: list[np.ndarray]
    labels: np.ndarray
    scores: np.ndarray
    shape: tuple[int, int]


def read_prediction(sample: SegDataSample, categories: Categories,
                    score_thr: float = 0.) -> Prediction:
    """Take the instances of a data sample, in their order.

    Args:
        sample (SegDataSample): With ``pred_instances``.
        categories (Categories): Those of the model.
        score_thr (float): Instances of a lower score are left out, and those without pixels.

    Raises:
        ValueError: If there are no instances in the sample, their fields differ in length or a
            label is no thing.
    """
    if 'pred_instances' not in sample:
        raise InvalidInputError(f'{_name(sample)} has no pred_instances, only {sample.keys()}: '
                                'give a sample that a model of this package predicted.')
    masks, labels, scores = (_to_numpy(sample.pred_instances[key])
                             for key in ('masks', 'labels', 'scores'))
    if masks.ndim != 3 or labels.shape != scores.shape or masks.shape[:1] != labels.shape:
        raise InvalidInputError(f'The masks {masks.shape}, labels {labels.shape} and scores '
                                f'{scores.shape} of {_name(sample)} do not fit each other: '
                                'expected (N, H, W), (N,) and (N,).')
    outside = labels[(labels < 0) | (labels >= len(categories.thing_classes))]
    if len(outside):
        raise InvalidInputError(f'{_name(sample)} has an instance of label {outside[0]}, but there '
                                f'are {len(categories.thing_classes)} thing_classes: give the '
                                'dataset_meta of the model that predicted it.')
    keep = (scores >= score_thr) & masks.any(axis=(1, 2))
    # Views: a copy of the masks of a large picture would take a gigabyte.
    chosen = [masks[i].astype(bool, copy=False) for i in keep.nonzero()[0]]
    return Prediction(chosen, labels[keep].astype(np.int64), scores[keep].astype(np.float32),
                      masks.shape[1:])


def read_segments(sample: SegDataSample, prediction: Prediction,
                  categories: Categories) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which instance or category each pixel shows.

    A pixel of several instances shows that of the highest score, the first of equals.

    Args:
        sample (SegDataSample): With ``pred_sem_seg``.
        prediction (Prediction): Its N instances.
        categories (Categories): C categories.

    Returns:
        tuple[ndarray, ndarray, ndarray]: Segment of each pixel (H, W) int32: 0 to N - 1 an
        instance, then the C categories, and -1 a thing without instance or void; category of each
        segment, (N + C,) int64; and the category map of the sample, (H, W).

    Raises:
        ValueError: If the sample has no category map, or one of another size.
    """
    if 'pred_sem_seg' not in sample:
        raise InvalidInputError(f'{_name(sample)} has no pred_sem_seg, the category of each pixel, '
                                'which this format needs.')
    seg_map = _to_numpy(sample.pred_sem_seg.data)[0]
    if seg_map.shape != prediction.shape:
        raise InvalidInputError(f'The category map {seg_map.shape} and the masks '
                                f'{prediction.shape} of {_name(sample)} differ in size.')
    segments = predicted_segments(prediction.masks, prediction.labels, prediction.scores, seg_map,
                                  categories.thing_ids, len(categories.classes))
    return segments.index_map, segments.categories, seg_map


def _to_numpy(values: torch.Tensor | np.ndarray) -> np.ndarray:
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)


def _name(sample: SegDataSample) -> str:
    return str(sample.get('name') or sample.get('img_path') or 'The data sample')
