"""Instances as polygons in text files, as YOLO's programs for segmentation read them."""
from pathlib import Path

import numpy as np
import yaml
from mmseg.structures import SegDataSample

from mmseg_instbox.utils import atomic_write

from .categories import read_categories
from .polygons import join_polygons, mask_polygons
from .prediction import Prediction, read_prediction
from .result_writer import ResultWriter

# Readers round or cut off what they multiply by the size; both then give the pixel.
INSIDE_PIXEL = 0.25


class YoloWriter(ResultWriter):
    """Writes ``labels/NAME.txt`` for each image, and ``data.yaml`` with the names of the thing
    categories and ``images`` as the folder where the images are to lie."""

    def _write(self, sample: SegDataSample, prediction: Prediction, name: str,
               image_file: str | None) -> None:
        text = ''.join(f'{line}\n' for line in _lines(prediction))
        atomic_write(text.encode(), self.out_dir / 'labels' / f'{name}.txt')

    def _finish(self) -> Path:
        content = dict(train='images', val='images',
                       names=dict(enumerate(self.categories.thing_classes)))
        text = yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
        return atomic_write(text.encode(), self.out_dir / 'data.yaml')


def yolo_lines(sample: SegDataSample, dataset_meta: dict, score_thr: float = 0.) -> list[str]:
    """Instances of a sample, a line each.

    Args:
        sample: With ``pred_instances``.
        dataset_meta: ``classes`` and ``thing_classes``.
        score_thr: Instances of a lower score are left out; the format holds no scores.

    Returns:
        list[str]: Index into ``thing_classes`` and a polygon, x and y as fractions of width and
        height, with spaces between. An instance is one polygon, as in Ultralytics' own conversion:
        its parts and holes are joined by bridges (:func:`join_polygons`).

    Raises:
        ValueError: See :func:`read_prediction`.
    """
    return _lines(read_prediction(sample, read_categories(dataset_meta), score_thr))


def _lines(prediction: Prediction) -> list[str]:
    size = np.array(prediction.shape[::-1])
    polygons = [(join_polygons(mask_polygons(mask)) + INSIDE_PIXEL) / size
                for mask in prediction.masks]
    return [' '.join([str(label), *(f'{value:.7f}' for value in polygon.ravel())])
            for label, polygon in zip(prediction.labels, polygons, strict=True)]
