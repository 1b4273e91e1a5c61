"""Instances as COCO's JSON with run-length encoded masks."""
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmseg.structures import SegDataSample
from pycocotools import mask as mask_tools

from mmseg_instbox.utils import write_json
from mmseg_instbox.utils.run_lengths import encode_mask

from .categories import Categories, read_categories
from .image_table import ImageTable
from .prediction import Prediction, read_prediction
from .result_writer import ResultWriter


class CocoWriter(ResultWriter):
    """Writes ``annotations.json`` in COCO's format, of which ``annotations`` is also a list of
    detections for ``COCO.loadRes``. Of each image only encoded masks stay in memory."""

    def __init__(self, out_dir: str | Path, dataset_meta: dict, score_thr: float = 0.) -> None:
        super().__init__(out_dir, dataset_meta, score_thr)
        self._images = ImageTable()
        self._annotations: list[dict] = []

    def _write(self, sample: SegDataSample, prediction: Prediction, name: str,
               image_file: str | None) -> None:
        image_id = self._images.add(sample, name, image_file, prediction.shape)
        self._annotations += _annotations(prediction, image_id, self.categories)

    def _finish(self) -> Path:
        content = coco_content(self._images.rows(), self._annotations, self.categories)
        return write_json(content, self.out_dir / 'annotations.json')


def coco_annotations(sample: SegDataSample, image_id: int, dataset_meta: dict,
                     score_thr: float = 0.) -> list[dict]:
    """Instances of a sample as annotations of COCO.

    Args:
        sample: With ``pred_instances``.
        image_id: Id of the image.
        dataset_meta: ``classes`` and ``thing_classes``; see :func:`read_categories` for the ids.
        score_thr: Instances of a lower score are left out.

    Returns:
        list[dict]: ``image_id``, ``category_id``, ``segmentation`` (RLE with ``size`` and a string
        ``counts``), ``bbox`` (x, y, width, height of the mask), ``area``, ``iscrowd`` and
        ``score``. The ``id`` is given by :func:`coco_content`.

    Raises:
        ValueError: See :func:`read_prediction`.
    """
    categories = read_categories(dataset_meta)
    return _annotations(read_prediction(sample, categories, score_thr), image_id, categories)


def coco_content(images: Sequence[dict], annotations: Sequence[dict],
                 dataset_meta: dict | Categories) -> dict:
    """The content of a COCO file.

    Args:
        images: ``id``, ``file_name``, ``height`` and ``width`` of each image.
        annotations: As of :func:`coco_annotations`; they are numbered from 1.
        dataset_meta: The categories.
    """
    if not isinstance(dataset_meta, Categories):
        dataset_meta = read_categories(dataset_meta)
    return dict(
        info=dict(description='Predictions of mmseg_instbox'),
        licenses=[],
        images=list(images),
        annotations=[dict(id=i, **each) for i, each in enumerate(annotations, start=1)],
        categories=[dict(id=dataset_meta.coco_ids[index], name=dataset_meta.classes[index],
                         supercategory='') for index in dataset_meta.thing_ids])


def _annotations(prediction: Prediction, image_id: int, categories: Categories) -> list[dict]:
    instances = zip(prediction.masks, prediction.labels, prediction.scores, strict=True)
    return [dict(image_id=image_id,
                 category_id=categories.coco_ids[categories.thing_ids[label]],
                 **_region(mask),
                 iscrowd=0,
                 score=round(float(score), 6))
            for mask, label, score in instances]


def _region(mask: np.ndarray) -> dict:
    code = encode_mask(mask)
    return dict(segmentation=code, bbox=mask_tools.toBbox(code).tolist(),
                area=int(mask_tools.area(code)))
