"""Take from a data sample what an instance metric needs, and check it."""
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from mmseg_instbox.errors import InvalidInputError, InvalidTypeError

from ..functional import VOID_CATEGORY, VOID_ID


def category_names(dataset_meta: dict | None) -> tuple[Sequence[str], Sequence[str]]:
    """Names of the categories and of those with instances.

    Args:
        dataset_meta (dict, optional): The data set's metainfo.

    Returns:
        tuple: ``classes`` and ``thing_classes``.

    Raises:
        ValueError: If one of them is missing or a thing is not among the classes.
    """
    for key in ('classes', 'thing_classes'):
        if not dataset_meta or not dataset_meta.get(key):
            raise InvalidInputError(f"InstBoxMetric needs '{key}' in the data set's metainfo and "
                                    'found none; use a data set with instances such as '
                                    'InstBoxDataset')
    classes, things = dataset_meta['classes'], dataset_meta['thing_classes']
    unknown = [name for name in things if name not in classes]
    if unknown:
        raise InvalidInputError(f'thing_classes {unknown} are not among the classes '
                                f"{list(classes)}; correct the data set's metainfo")
    return classes, things


def read_map(sample: dict, key: str) -> Tensor:
    """The pixel map (H, W) of a field of shape (1, H, W); ValueError if it is missing or else."""
    data = sample_field(sample, key)['data']
    if data.ndim != 3 or data.shape[0] != 1:
        raise InvalidInputError(f'{key} of {sample_name(sample)} has shape {tuple(data.shape)}, '
                                'expected (1, height, width)')
    return data[0]


def read_category_maps(sample: dict, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and true category map of a sample.

    Args:
        sample (dict): Data sample with ``pred_sem_seg`` and ``gt_sem_seg``.
        num_classes (int): Number of categories C.

    Returns:
        tuple[ndarray, ndarray]: Two maps of one size (H, W), uint8 unless there are more
        categories than that holds.

    Raises:
        ValueError: If a map is missing, sizes differ or a category is outside the classes.
    """
    predicted, truth = read_map(sample, 'pred_sem_seg'), read_map(sample, 'gt_sem_seg')
    _check_size(sample, 'pred_sem_seg', predicted, truth)
    return (_narrow(sample, 'pred_sem_seg', predicted, num_classes, void=False),
            _narrow(sample, 'gt_sem_seg', truth, num_classes, void=True))


def read_objects(sample: dict, num_things: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ground-truth objects of a sample.

    Args:
        sample (dict): Data sample with ``gt_inst_map`` and ``gt_instances``.
        num_things (int): Number of thing categories.

    Returns:
        tuple[ndarray, ndarray, ndarray]: Instance map (H, W) int32, ids (G,) and labels (G,).

    Raises:
        ValueError: If a field is missing, the map has another size than the category map, a label
            is outside ``thing_classes`` or an id is 0 or 255.
    """
    inst_map = read_map(sample, 'gt_inst_map')
    _check_size(sample, 'gt_inst_map', inst_map, read_map(sample, 'gt_sem_seg'))
    instances = sample_field(sample, 'gt_instances')
    ids, labels = instances['ids'], instances['labels']
    _check_range(sample, 'gt_instances.labels', labels, num_things, 'thing_classes')
    if ((ids == 0) | (ids == VOID_ID)).any() or len(ids.unique()) < len(ids):
        raise InvalidInputError(f'gt_instances.ids of {sample_name(sample)} are {ids.tolist()}; an '
                                'id is given once and is neither 0 (no object) nor 255 (void)')
    return tuple(to_numpy(each) for each in (inst_map, ids, labels))


def read_image_id(sample: dict) -> int:
    """The image's id in COCO's annotations, ``img_id``; ValueError if there is none."""
    if sample.get('img_id') is None:
        raise InvalidInputError(f'the data sample of {sample_name(sample)} has no img_id, by which '
                                'ann_file knows the image; use a data set that gives it, such as '
                                'CocoInstDataset')
    return int(sample['img_id'])


def check_instances(sample: dict, instances: dict[str, Tensor], like: Tensor,
                    num_things: int) -> None:
    """Check predicted instances against the size of the ground truth.

    Args:
        sample (dict): The data sample they belong to, named in the errors.
        instances (dict): ``masks`` (K, H, W) bool, ``labels`` (K,) and ``scores`` (K,).
        like (Tensor): A ground-truth map, (H, W).
        num_things (int): Number of thing categories.

    Raises:
        TypeError: If the masks are not bool.
        ValueError: If a field is missing, sizes or lengths differ, a label is outside
            ``thing_classes`` or a score is not a finite number.
    """
    name = sample_name(sample)
    missing = [key for key in ('masks', 'labels', 'scores') if key not in instances]
    if missing:
        raise InvalidInputError(f'pred_instances of {name} lacks {missing}; InstBoxMetric needs '
                                'masks, labels and scores')
    masks, labels, scores = (instances[key] for key in ('masks', 'labels', 'scores'))
    if masks.dtype != torch.bool:
        raise InvalidTypeError(f'pred_instances.masks of {name} are {masks.dtype}, expected '
                               'torch.bool')
    if not len(masks) == len(labels) == len(scores):
        raise InvalidInputError(f'pred_instances of {name} has {len(masks)} masks, {len(labels)} '
                                f'labels and {len(scores)} scores; expected as many of each')
    _check_size(sample, 'pred_instances.masks', masks, like)
    _check_range(sample, 'pred_instances.labels', labels, num_things, 'thing_classes')
    if not torch.isfinite(scores).all():
        raise InvalidInputError(f'pred_instances.scores of {name} are not all finite; the model '
                                'has probably diverged, look at its losses')


def sample_field(sample: dict, key: str, hint: str = '') -> dict:
    """A field of a data sample; ValueError with the hint if it is missing."""
    if key in sample:
        return sample[key]
    if key.startswith('gt_'):
        hint = 'load it with LoadInstAnnotations and PackInstInputs in the test pipeline'
    elif not hint:
        hint = 'InstBoxMetric needs the predictions of a model such as InstBoxSegmentor'
    raise InvalidInputError(f'the data sample of {sample_name(sample)} has no {key}; {hint}')


def sample_name(sample: dict) -> str:
    """The image's file name for messages."""
    return str(sample.get('img_path', 'an image without img_path'))


@contextmanager
def errors_name(sample: dict) -> Iterator[None]:
    """Put the image's name before the message of a ValueError raised inside."""
    try:
        yield
    except ValueError as error:
        raise InvalidInputError(f'{sample_name(sample)}: {error}') from error


def to_numpy(values: Tensor) -> np.ndarray:
    """The values as an array, which shares the memory of a tensor on the CPU."""
    return values.detach().cpu().numpy()


def _narrow(sample: dict, key: str, category_map: Tensor, num_classes: int,
            void: bool) -> np.ndarray:
    """A category map in a small type, which makes every later pass faster, and checked."""
    values = to_numpy(category_map)
    small = values.astype(np.min_scalar_type(max(num_classes, VOID_CATEGORY)))
    outside = small >= num_classes
    if void:
        outside &= small != VOID_CATEGORY
    if outside.any() or values.min() < 0 or values.max() > np.iinfo(small.dtype).max:
        labels = category_map[category_map != VOID_CATEGORY] if void else category_map
        _check_range(sample, key, labels, num_classes, 'classes')
    return small


def _check_size(sample: dict, key: str, value: Tensor, like: Tensor) -> None:
    given, expected = tuple(value.shape[-2:]), tuple(like.shape)
    if given != expected:
        raise InvalidInputError(f'{key} of {sample_name(sample)} has size {given} (height, width), '
                                f'its ground truth {expected}; both must have the original size of '
                                'the image, so load annotations after resizing in the test '
                                'pipeline')


def _check_range(sample: dict, key: str, labels: Tensor, limit: int, what: str) -> None:
    outside = labels[(labels < 0) | (labels >= limit)]
    if len(outside):
        raise InvalidInputError(f'{key} of {sample_name(sample)} holds '
                                f'{outside.unique().tolist()}, but there are {limit} {what} (0 to '
                                f'{limit - 1}); the data set and the model must have the same '
                                'categories')
