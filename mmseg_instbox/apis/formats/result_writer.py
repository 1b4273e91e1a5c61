"""What all formats take from a prediction, and the base class of their writers."""
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pycocotools import mask as mask_tools

from ...errors import InvalidInputError
from ...utils.file_names import relative_name
from ...utils.run_lengths import encode_crop, mask_crops


class Categories(NamedTuple):
    """The categories of a data set, as the formats number them."""
    classes: tuple[str, ...]
    thing_classes: tuple[str, ...]
    thing_ids: tuple[int, ...]  # index of each thing in the classes
    coco_ids: tuple[int, ...]  # id of each of the classes in COCO files
    palette: tuple[Sequence[int], ...]  # RGB colour of each of the classes, or empty


def read_categories(dataset_meta: dict) -> Categories:
    """Reads ``classes``, ``thing_classes`` and, if there are any, ``palette`` and ``category_ids``.

    COCO's ids are those of ``category_ids`` (id -> index into ``thing_classes``), which data sets
    read from COCO have, if each thing has one id. Otherwise they are the indices in ``classes``,
    plus 1 if the first of the ``classes`` is a thing: no object may have the id 0. ValueError if
    names are missing or repeated, or a thing is not among the classes.
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
    ids = [index + (0 in thing_ids) for index in range(len(classes))]
    official = meta.get('category_ids') or {}
    by_label = {int(label): int(category_id) for category_id, label in official.items()}
    if sorted(map(int, official.values())) == [*range(len(things))]:
        used = {index: by_label[label] for label, index in enumerate(thing_ids)}
        free = max([*ids, *by_label.values()]) + 1
        ids = [used.get(index, free + index if number in by_label.values() else number)
               for index, number in enumerate(ids)]
    return Categories(classes, things, thing_ids, tuple(ids), palette)


@dataclass
class Instances:
    """The N instances of an image that have pixels and a high enough score, in their order."""
    masks: Any  # as `mask_crops` reads them
    labels: np.ndarray  # (N,) int64, index into thing_classes
    scores: np.ndarray  # (N,) float32
    tracks: np.ndarray  # (N,) int, the object of each in a video; -1 if unknown
    shape: tuple[int, int]  # (H, W) of the image

    @property
    def codes(self) -> list[dict[str, Any]]:
        """N run-length codes, dicts of ``size`` and string ``counts``."""
        if isinstance(self.masks, list) and all(isinstance(mask, dict) for mask in self.masks):
            return self.masks
        return [encode_crop(crop, self.shape) for crop in mask_crops(self.masks)]


def read_instances(sample: Any, categories: Categories, score_thr: float) -> Instances:
    """Reads the instances of a data sample, of mmseg or of this package.

    Its ``pred_instances`` have ``masks`` (N, H, W), or a list of COCO's run lengths as in mmdet;
    ``track_ids`` are optional. ValueError if it has no instances, or a label is no thing.
    """
    if 'pred_instances' not in sample:
        raise InvalidInputError(f'{sample_name(sample)} has no pred_instances, only '
                                f'{sample.keys()}: give a sample that a model of this package '
                                'predicted.')
    found = sample.pred_instances
    labels, scores = to_numpy(found['labels']), to_numpy(found['scores'])
    tracks = to_numpy(getattr(found, 'track_ids', np.full(len(labels), -1)))
    outside = labels[(labels < 0) | (labels >= len(categories.thing_classes))]
    if len(outside):
        raise InvalidInputError(f'{sample_name(sample)} has an instance of label {outside[0]}, but '
                                f'there are {len(categories.thing_classes)} thing_classes: give '
                                'the dataset_meta of the model that predicted it.')
    masks = found['masks']
    shape = tuple(sample.ori_shape if isinstance(masks, list) else masks.shape[1:])
    if getattr(masks, 'inst_map', None) is not None:
        masks = masks.cpu()
        filled = masks.boxes.any(dim=1).numpy()
    else:  # one by one: pycocotools fails at the areas of more than 255 masks together
        if not isinstance(masks, list):
            masks = list(to_numpy(masks))  # views: copies of a large image would take a gigabyte
        filled = np.array([mask_tools.area(mask) if isinstance(mask, dict) else mask.any()
                           for mask in masks], bool)
    keep = (filled & (scores >= np.float32(score_thr))).nonzero()[0]
    return Instances([masks[i] for i in keep] if isinstance(masks, list) else masks[keep],
                     labels[keep].astype(np.int64), scores[keep].astype(np.float32),
                     tracks[keep], shape)


def to_numpy(values: Any) -> np.ndarray:
    """The values, a tensor or an array, as an array on the CPU."""
    return values.detach().cpu().numpy() if hasattr(values, 'detach') else np.asarray(values)


def sample_name(sample: Any) -> str:
    """What errors call a sample."""
    return str(sample.get('name') or sample.get('img_path') or 'The data sample')


class ResultWriter(AbstractContextManager):
    """Writes predictions to a folder, one image after the other, and keeps no masks in memory.

    Each file is written whole or not at all. In a ``with`` block, :meth:`close` is called unless an
    error ended the block.

    Args:
        out_dir: The folder; it is made if it is missing.
        dataset_meta: ``classes`` and ``thing_classes`` of the model, and optionally ``palette``
            and ``category_ids``.
        score_thr: Instances of a lower score are left out.

    Raises:
        ValueError: ``dataset_meta`` lacks the categories, or ``out_dir`` is a file.
    """
    needs_category_map = False  # whether samples must have ``pred_sem_seg``

    def __init__(self, out_dir: str | Path, dataset_meta: dict, score_thr: float = 0.) -> None:
        self.out_dir = Path(out_dir)
        if self.out_dir.exists() and not self.out_dir.is_dir():
            raise InvalidInputError(f'{out_dir} is a file, but results go into a folder: choose '
                                    'another name.')
        self.categories = read_categories(dataset_meta)
        self.score_thr = score_thr
        self._names: dict[str, None] = {}  # in order
        self._closed: Path | None = None

    def add(self, sample: Any, name: str, image_file: str | None = None) -> None:
        """Adds the prediction on one image.

        Args:
            sample: A data sample with ``pred_instances``, and ``pred_sem_seg`` for formats with
                categories; of a frame of a video also ``video`` (its name) and ``frame_id``.
            name: Name of the image without suffix, a relative path; files are written to the
                folders in it. Characters that a file name must not have become ``_``.
            image_file: Path or address of the image, if it has one.

        Raises:
            ValueError: The name is taken, the writer is closed, or the sample does not fit the
                categories.
        """
        if self._closed is not None:
            raise InvalidInputError(f'{name}: the results in {self.out_dir} were finished with '
                                    'close(): add images before.')
        instances = read_instances(sample, self.categories, self.score_thr)
        name = relative_name(name)
        if name in self._names:
            raise InvalidInputError(f'{name}: two images of this name; the results in '
                                    f'{self.out_dir} would overwrite each other. Give them '
                                    'different names.')
        self._write(sample, instances, name, None if image_file is None else str(image_file))
        self._names[name] = None

    def close(self) -> Path:
        """Writes what concerns all images, once; returns the result to open, a file or folder."""
        if self._closed is None:
            self.out_dir.mkdir(parents=True, exist_ok=True)
            self._closed = self._finish()
        return self._closed

    @abstractmethod
    def _write(self, sample: Any, instances: Instances, name: str, image_file: str | None) -> None:
        """Writes or stores one image under a name that is safe and new."""

    def _finish(self) -> Path:
        """Writes what concerns all images."""
        return self.out_dir

    def __exit__(self, kind: type | None, *args) -> None:
        if kind is None:
            self.close()
