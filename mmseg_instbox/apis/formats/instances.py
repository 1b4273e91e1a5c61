"""What all formats take from a prediction: its categories and its instances."""
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pycocotools import mask as mask_tools

from mmseg_instbox.errors import InvalidInputError
from mmseg_instbox.evaluation.functional.panoptic_quality import predicted_segments
from mmseg_instbox.utils.run_lengths import encode_crop, mask_crops

if TYPE_CHECKING:
    import torch
    from mmseg.structures import SegDataSample


class Categories(NamedTuple):
    """The categories of a data set, as the formats number them.

    ``classes`` and ``thing_classes``: their names; ``thing_ids``: index in ``classes`` of each
    thing; ``coco_ids``: id of each of the ``classes`` in COCO files; ``palette``: RGB colour of
    each of the ``classes``, or empty.
    """
    classes: tuple[str, ...]
    thing_classes: tuple[str, ...]
    thing_ids: tuple[int, ...]
    coco_ids: tuple[int, ...]
    palette: tuple[Sequence[int], ...]


def read_categories(dataset_meta: dict) -> Categories:
    """Reads ``classes``, ``thing_classes`` and, if there are any, ``palette`` and ``category_ids``.

    COCO's ids are those of ``category_ids`` (id -> index into ``thing_classes``), which data sets
    read from COCO have, if each thing has one id. Otherwise they are the indices in ``classes``,
    plus 1 if the first of the ``classes`` is a thing: no object may have the id 0.

    Raises:
        ValueError: Names are missing or repeated, or a thing is not among the classes.
    """
    meta = dataset_meta or {}
    classes, things, palette = (tuple(meta.get(key) or ())
                                for key in ('classes', 'thing_classes', 'palette'))
    if not classes or not things:
        raise InvalidInputError(f"dataset_meta has the keys {sorted(meta)}, but 'classes' and "
                                "'thing_classes' are needed: take the inferencer's or the model's "
                                'dataset_meta.')
    if len(set(classes)) < len(classes) or not set(things) <= set(classes):
        raise InvalidInputError(f'dataset_meta names the classes {classes} and the thing_classes '
                                f'{things}: each class must appear once, and each thing must be '
                                'one of the classes.')
    thing_ids = tuple(classes.index(name) for name in things)
    ids = _coco_ids(len(classes), thing_ids, meta.get('category_ids') or {})
    return Categories(classes, things, thing_ids, ids, palette)


def _coco_ids(number: int, thing_ids: tuple[int, ...], official: dict) -> tuple[int, ...]:
    """Gives each of ``number`` classes an id, all different."""
    ids = [index + (0 in thing_ids) for index in range(number)]
    labels = {int(label): int(category_id) for category_id, label in official.items()}
    if len(official) != len(thing_ids) or set(labels) != set(range(len(thing_ids))):
        return tuple(ids)
    things = {index: labels[label] for label, index in enumerate(thing_ids)}
    free = max([*ids, *things.values()]) + 1
    stuff = [ids[i] if ids[i] not in things.values() else free + i for i in range(number)]
    return tuple(things.get(i, stuff[i]) for i in range(number))


@dataclass
class Instances:
    """The N instances of an image whose score is high enough and that have pixels, in their order.

    Attributes:
        masks: Theirs masks, as :func:`~mmseg_instbox.utils.run_lengths.mask_crops` reads them.
        labels: (N,) int64 index into ``thing_classes``.
        scores: (N,) float32.
        tracks: (N,) int, the object of each in a video; -1 if unknown.
        shape: (H, W) of the image.
    """
    masks: Any
    labels: np.ndarray
    scores: np.ndarray
    tracks: np.ndarray
    shape: tuple[int, int]

    @property
    def codes(self) -> list[dict[str, Any]]:
        """N run-length codes, dicts of ``size`` and string ``counts``."""
        if isinstance(self.masks, list) and self.masks and isinstance(self.masks[0], dict):
            return self.masks
        return [encode_crop(crop, self.shape) for crop in mask_crops(self.masks)]


def read_instances(sample: 'SegDataSample', categories: Categories,
                   score_thr: float = 0.) -> Instances:
    """Reads the instances of a data sample.

    Args:
        sample: With ``pred_instances``, whose ``masks`` are (N, H, W), or a list of COCO's run
            lengths as in mmdet; ``track_ids`` are optional.
        categories: Those of the model.
        score_thr: Instances of a lower score are left out, as are those without pixels.

    Raises:
        ValueError: The sample has no instances, or a label is no thing.
    """
    if 'pred_instances' not in sample:
        raise InvalidInputError(f'{_name(sample)} has no pred_instances, only {sample.keys()}: '
                                'give a sample that a model of this package predicted.')
    found = sample.pred_instances
    labels, scores = to_numpy(found['labels']), to_numpy(found['scores'])
    tracks = to_numpy(getattr(found, 'track_ids', np.full(len(labels), -1)))
    outside = labels[(labels < 0) | (labels >= len(categories.thing_classes))]
    if len(outside):
        raise InvalidInputError(f'{_name(sample)} has an instance of label {outside[0]}, but there '
                                f'are {len(categories.thing_classes)} thing_classes: give the '
                                'dataset_meta of the model that predicted it.')
    keep = (scores >= np.float32(score_thr)).nonzero()[0]
    masks, shape, filled = _choose(found['masks'], sample, keep)
    keep = keep[filled]
    return Instances(masks, labels[keep].astype(np.int64), scores[keep].astype(np.float32),
                     tracks[keep], shape)


def _choose(masks: Any, sample: 'SegDataSample',
            keep: np.ndarray) -> tuple[Any, tuple[int, int], np.ndarray]:
    """Those of the masks at ``keep`` (K,) that have pixels, (H, W), and which of them have."""
    if getattr(masks, 'inst_map', None) is not None:
        masks = masks[keep].cpu()
        filled = masks.boxes.any(dim=1).numpy()
        return masks[filled], tuple(masks.shape[1:]), filled
    if isinstance(masks, list):
        # one by one: pycocotools fails at the areas of more than 255 masks together
        filled = np.array([mask_tools.area(masks[i]) > 0 for i in keep], bool)
        return [masks[i] for i in keep[filled]], tuple(sample.ori_shape), filled
    masks = to_numpy(masks)
    filled = masks.any(axis=(1, 2))[keep]
    # views: a copy of the masks of a large image would take a gigabyte
    return [masks[i] for i in keep[filled]], masks.shape[1:], filled


def read_segments(sample: 'SegDataSample', instances: Instances,
                  categories: Categories) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Finds the instance or category that each pixel shows: of several instances the one with the
    highest score, the first of equals.

    Returns:
        tuple[ndarray, ndarray, ndarray]: Segment of each pixel (H, W) int32: 0 to N - 1 one of the
        N instances, then the C categories, and -1 a thing without instance or void; category of
        each segment, (N + C,) int64; and the category map of the sample, (H, W).

    Raises:
        ValueError: The sample has no category map, or one of another size.
    """
    if 'pred_sem_seg' not in sample:
        raise InvalidInputError(f'{_name(sample)} has no pred_sem_seg, the category of each pixel, '
                                'which this format needs.')
    seg_map = to_numpy(sample.pred_sem_seg.data)[0]
    if seg_map.shape != instances.shape:
        raise InvalidInputError(f'The category map {seg_map.shape} and the masks '
                                f'{instances.shape} of {_name(sample)} differ in size.')
    # without masks, so that pixels of instances follow below
    segments = predicted_segments((), instances.labels, np.zeros(0), seg_map, categories.thing_ids,
                                  len(categories.classes))
    crops = list(mask_crops(instances.masks))
    for index in np.argsort(-instances.scores, kind='stable')[::-1]:
        segments.index_map[crops[index].window][crops[index].pixels] = index
    return segments.index_map, segments.categories, seg_map


def to_numpy(values: 'torch.Tensor | np.ndarray') -> np.ndarray:
    return values.detach().cpu().numpy() if hasattr(values, 'detach') else np.asarray(values)


def _name(sample: 'SegDataSample') -> str:
    return str(sample.get('name') or sample.get('img_path') or 'The data sample')
