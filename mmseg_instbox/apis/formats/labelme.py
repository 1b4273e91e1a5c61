"""Instances as polygons in the JSON of LabelMe, one file an image."""
import os
from pathlib import Path

from mmseg.structures import SegDataSample

from mmseg_instbox.utils import write_json

from .categories import Categories, read_categories
from .image_table import is_address
from .polygons import mask_polygons
from .prediction import Prediction, read_prediction
from .result_writer import ResultWriter

VERSION = '5.5.0'  # whose keys these are
PIXEL_CENTRE = 0.5


class LabelMeWriter(ResultWriter):
    """Writes ``NAME.json`` for each image, which names the image relative to the folder; for an
    image without file, ``NAME.png`` in it."""

    def _write(self, sample: SegDataSample, prediction: Prediction, name: str,
               image_file: str | None) -> None:
        image_path = f'{name}.png'
        if image_file is not None:
            image_path = image_file
            if not is_address(image_file):
                image_path = os.path.relpath(image_file, self.out_dir).replace(os.sep, '/')
        height, width = prediction.shape
        content = dict(version=VERSION, flags={}, shapes=_shapes(prediction, self.categories),
                       imagePath=image_path, imageData=None, imageHeight=height, imageWidth=width)
        write_json(content, self.out_dir / f'{name}.json')

    def _finish(self) -> Path:
        return self.out_dir


def labelme_shapes(sample: SegDataSample, dataset_meta: dict,
                   score_thr: float = 0.) -> list[dict]:
    """Instances of a sample as polygons of LabelMe.

    Args:
        sample: With ``pred_instances``.
        dataset_meta: ``classes`` and ``thing_classes``.
        score_thr: Instances of a lower score are left out.

    Returns:
        list[dict]: A shape for each connected part of each instance. ``group_id`` numbers the
        instances from 1 and is shared by the parts; ``points`` are centres of pixels, from (0.5,
        0.5) on, in the outline; a hole is joined to it by a bridge (:func:`mask_polygons`);
        ``description`` holds the score.

    Raises:
        ValueError: See :func:`read_prediction`.
    """
    categories = read_categories(dataset_meta)
    return _shapes(read_prediction(sample, categories, score_thr), categories)


def _shapes(prediction: Prediction, categories: Categories) -> list[dict]:
    instances = zip(prediction.masks, prediction.labels, prediction.scores, strict=True)
    return [dict(label=categories.thing_classes[label],
                 points=(polygon + PIXEL_CENTRE).tolist(),
                 group_id=number,
                 description=f'score {score:.3f}',
                 shape_type='polygon',
                 flags={},
                 mask=None)
            for number, (mask, label, score) in enumerate(instances, start=1)
            for polygon in mask_polygons(mask)]
