"""Reads and checks what metrics need of a data sample: the one place where predictions enter.

Samples are dicts, as mmengine's evaluator gives them. What is wrong with one raises a ValueError
that names its image.
"""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor

from ..core import VOID
from ..errors import InvalidInputError
from .functional.pixel_counts import RegionOverlap, find_runs, region_overlap

DECODED = 'inst_box_image'  # key of the decoded image in a sample, for the metrics that follow


class EvaluatedImage(NamedTuple):
    """An image as R runs of pixels (see :func:`~.functional.pixel_counts.find_runs`).

    ``masks`` (K, R) bool, ``labels`` (K,) and ``scores`` (K,) of the predictions; ``predicted``,
    ``truth`` and ``inst_map`` (R,), predicted and true category and object id of each run; ``ids``
    (G,) and ``gt_labels`` (G,) of the objects; ``lengths`` (R,) pixels of the runs; ``overlap`` of
    predictions and objects.
    """
    masks: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    predicted: np.ndarray
    truth: np.ndarray
    inst_map: np.ndarray
    ids: np.ndarray
    gt_labels: np.ndarray
    lengths: np.ndarray
    overlap: RegionOverlap


def category_names(dataset_meta: dict | None) -> tuple[list[str], list[str], list[int]]:
    """Get ``classes`` and ``thing_classes`` of a metainfo, and the indices of things in classes.

    Raises:
        ValueError: One of them is missing.
    """
    for key in ('classes', 'thing_classes'):
        if not dataset_meta or not dataset_meta.get(key):
            raise InvalidInputError(f"Metrics of instances need '{key}' in the data set's metainfo "
                                    'and found none; use a data set with instances such as '
                                    'InstBoxDataset')
    classes, things = list(dataset_meta['classes']), list(dataset_meta['thing_classes'])
    return classes, things, [classes.index(name) for name in things]


def decode_image(sample: dict, dataset_meta: dict | None) -> EvaluatedImage:
    """Decode predictions and ground truth of an image, once for all metrics of a list.

    Args:
        sample: With ``pred_instances``, ``pred_sem_seg``, ``gt_instances``, ``gt_inst_map`` and
            ``gt_sem_seg``, all of the original image's size. The result is kept in it, as mmengine
            gives the same dict to each metric of an evaluator.
        dataset_meta: The data set's metainfo.
    """
    known = sample.get(DECODED)
    if known is not None and known[0] is sample.get('pred_instances'):
        return known[1]
    classes, things, _ = category_names(dataset_meta)
    predicted, truth = (read_category_map(sample, key, len(classes))
                        for key in ('pred_sem_seg', 'gt_sem_seg'))
    inst_map, ids, gt_labels = read_objects(sample, len(things))
    masks, labels, scores = read_instances(sample, len(things), truth.shape)
    maps = (predicted, truth, inst_map)
    if getattr(masks, 'inst_map', None) is None:
        regions, runs, lengths = find_runs(masks.numpy(), maps)
    else:
        maps = (*maps, masks.inst_map.numpy())
        _, (*runs, owners), lengths = find_runs(np.zeros((0, 0), bool), maps)
        regions = owners == masks.numbers.numpy()[:, None]
    overlap = region_overlap(regions, runs[2], ids, lengths)
    image = EvaluatedImage(regions, labels, scores, *runs, ids, gt_labels, lengths, overlap)
    sample[DECODED] = sample['pred_instances'], image
    return image


def read_instances(sample: dict, num_things: int,
                   shape: tuple[int, int]) -> tuple[Tensor, np.ndarray, np.ndarray]:
    """Read masks (K, H, W) bool, on the CPU, labels (K,) and scores (K,) of ``pred_instances``.

    Masks must have the ``shape`` (H, W) of the original image and labels be below ``num_things``.
    """
    instances = sample_field(sample, 'pred_instances')
    missing = [key for key in ('masks', 'labels', 'scores') if key not in instances]
    if missing:
        raise InvalidInputError(f'pred_instances of {sample_name(sample)} lacks {missing}; metrics '
                                'need masks, labels and scores')
    masks, labels, scores = (instances[key] for key in ('masks', 'labels', 'scores'))
    _check_size(sample, 'pred_instances.masks', masks.shape, shape)
    _check_range(sample, 'pred_instances.labels', labels, num_things, 'thing_classes')
    return masks.detach().cpu(), *(each.detach().cpu().numpy() for each in (labels, scores))


def ranked_labels(sample: dict, image_labels: np.ndarray, image_scores: np.ndarray,
                  num: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Turn each instance into up to ``num`` detections, as detectors are evaluated: index of the
    instance, label and score, (D,) each.

    Its own label and score, of ``image_labels`` and ``image_scores`` (K,), come first, then those
    of ``label_scores`` (K, T) of ``pred_instances``, if there are any.
    """
    table = sample['pred_instances'].get('label_scores')
    every = np.arange(len(image_labels))
    if num == 1 or table is None or not len(every):
        return every, image_labels, image_scores
    table = table.detach().cpu().numpy().astype(image_scores.dtype)
    first = table.copy()
    first[every, image_labels] = np.inf
    table[every, image_labels] = image_scores
    labels = np.argsort(-first, axis=1, kind='stable')[:, :num]
    scores = np.take_along_axis(table, labels, axis=1)
    return np.repeat(every, labels.shape[1]), labels.ravel(), scores.ravel()


def read_objects(sample: dict, num_things: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read the instance map (H, W) int32, the ids (G,) and the labels (G,) of the true objects."""
    inst_map, objects = read_map(sample, 'gt_inst_map'), sample_field(sample, 'gt_instances')
    ids, labels = objects['ids'], objects['labels']
    _check_range(sample, 'gt_instances.labels', labels, num_things, 'thing_classes')
    return tuple(each.detach().cpu().numpy() for each in (inst_map, ids, labels))


def read_category_map(sample: dict, key: str, num_classes: int) -> np.ndarray:
    """Read a category map (H, W) in a small type, which makes counting faster."""
    category_map = read_map(sample, key)
    _check_range(sample, key, category_map, num_classes, 'classes', has_void=key == 'gt_sem_seg')
    small = np.min_scalar_type(max(num_classes, VOID))
    return category_map.detach().cpu().numpy().astype(small)


def read_map(sample: dict, key: str) -> Tensor:
    """Get the pixel map (H, W) of a field of shape (1, H, W), as large as ``gt_sem_seg``."""
    pixels, truth = (sample_field(sample, each)['data'][0] for each in (key, 'gt_sem_seg'))
    _check_size(sample, key, pixels.shape, truth.shape)
    return pixels


def sample_field(sample: dict, key: str, hint: str = '') -> dict:
    """Get a field of a data sample; ValueError with the hint if it is missing."""
    if key in sample:
        return sample[key]
    if key.startswith('gt_'):
        hint = 'load it with LoadInstAnnotations and PackInstInputs in the test pipeline'
    hint = hint or 'metrics need the predictions of a model such as InstBoxSegmentor'
    raise InvalidInputError(f'the data sample of {sample_name(sample)} has no {key}; {hint}')


def sample_name(sample: dict) -> str:
    """Get the image's file name, for messages."""
    return str(sample.get('img_path', 'an image without img_path'))


def _check_size(sample: dict, key: str, given: Sequence[int], expected: Sequence[int]) -> None:
    if tuple(given[-2:]) != tuple(expected):
        raise InvalidInputError(f'{key} of {sample_name(sample)} has size {tuple(given[-2:])} '
                                f'(height, width), its ground truth {tuple(expected)}; both must '
                                'have the original size of the image, so load annotations after '
                                'resizing in the test pipeline')


def _check_range(sample: dict, key: str, labels: Tensor, limit: int, what: str,
                 has_void: bool = False) -> None:
    outside = (labels < 0) | (labels >= limit)
    if has_void:
        outside &= labels != VOID
    if outside.any():
        wrong = labels[outside].unique().tolist()
        raise InvalidInputError(f'{key} of {sample_name(sample)} holds {wrong}, but there are '
                                f'{limit} {what} (0 to {limit - 1}); the data set and the model '
                                'must have the same categories')
