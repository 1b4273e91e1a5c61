"""Instances as polygons: JSON of LabelMe, and text files of YOLO's segmentation programs."""
import os
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from mmseg_instbox.utils import atomic_write, write_json
from mmseg_instbox.utils.run_lengths import mask_crops

from .polygons import join_polygons, mask_polygons
from .result_writer import Instances, ResultWriter

LABELME_VERSION = '5.5.0'  # the version whose keys are written
PIXEL_CENTRE = 0.5
# YOLO readers round or truncate after multiplying by the size; both then give the same pixel.
INSIDE_PIXEL = 0.25


class LabelMeWriter(ResultWriter):
    """Writes ``NAME.json`` for each image, with the image's path relative to this file; without a
    path, ``NAME.png`` beside it.

    There is a shape for each connected part of an instance. ``group_id`` numbers the instances from
    1; ``points`` are centres of pixels, from (0.5, 0.5) on, in the outline; a hole is joined to it
    by a bridge; ``description`` holds the score.
    """

    def _write(self, sample: Any, instances: Instances, name: str, image_file: str | None) -> None:
        path = self.out_dir / f'{name}.json'
        image_path = image_file or f'{path.stem}.png'
        if image_file is not None and '://' not in image_file:
            image_path = os.path.relpath(image_file, path.parent).replace(os.sep, '/')
        height, width = instances.shape
        found = zip(mask_crops(instances.masks), instances.labels, instances.scores, strict=True)
        shapes = [dict(label=self.categories.thing_classes[label],
                       points=(polygon + PIXEL_CENTRE).tolist(),
                       group_id=number,
                       description=f'score {score:.3f}',
                       shape_type='polygon',
                       flags={},
                       mask=None)
                  for number, (crop, label, score) in enumerate(found, start=1)
                  for polygon in mask_polygons(crop)]
        write_json(dict(version=LABELME_VERSION, flags={}, shapes=shapes, imagePath=image_path,
                        imageData=None, imageHeight=height, imageWidth=width), path)


class YoloWriter(ResultWriter):
    """Writes ``labels/NAME.txt`` for each image, and ``data.yaml`` with the names of the thing
    categories and ``images`` as the folder for the images.

    A line is an instance: index into ``thing_classes``, and x and y of a polygon as fractions of
    width and height. It is one polygon, as in Ultralytics' own conversion: parts and holes are
    joined by bridges (:func:`join_polygons`).
    """

    def _write(self, sample: Any, instances: Instances, name: str, image_file: str | None) -> None:
        size, text = np.array(instances.shape[::-1]), ''
        for label, crop in zip(instances.labels, mask_crops(instances.masks), strict=True):
            polygon = (join_polygons(mask_polygons(crop)) + INSIDE_PIXEL) / size
            text += ' '.join([str(label), *(f'{value:.7f}' for value in polygon.ravel())]) + '\n'
        atomic_write(text.encode(), self.out_dir / 'labels' / f'{name}.txt')

    def _finish(self) -> Path:
        content = dict(train='images', val='images',
                       names=dict(enumerate(self.categories.thing_classes)))
        text = yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
        return atomic_write(text.encode(), self.out_dir / 'data.yaml')
