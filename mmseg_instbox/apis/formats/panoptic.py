"""Things and stuff as COCO's panoptic PNG with JSON."""
import io
from pathlib import Path

import numpy as np
from mmseg.structures import SegDataSample
from PIL import Image

from mmseg_instbox.utils import atomic_write, write_json

from .coco import ImageTable
from .instances import (
    Categories,
    Instances,
    read_categories,
    read_instances,
    read_segments,
)
from .result_writer import ResultWriter


class PanopticWriter(ResultWriter):
    """Writes ``panoptic/NAME.png``, in which the colour of a pixel is the id of its segment, and
    ``panoptic.json``, which says what the segments are."""
    needs_category_map = True

    def __init__(self, out_dir: str | Path, dataset_meta: dict, score_thr: float = 0.) -> None:
        super().__init__(out_dir, dataset_meta, score_thr)
        self._images = ImageTable()
        self._annotations: list[dict] = []

    def _write(self, sample: SegDataSample, instances: Instances, name: str,
               image_file: str | None) -> None:
        id_map, segments = _segments(sample, instances, self.categories)
        image_id = self._images.add(sample, name, image_file, instances.shape)
        picture = io.BytesIO()
        Image.fromarray(id_colors(id_map)).save(picture, format='PNG')
        atomic_write(picture.getvalue(), self.out_dir / 'panoptic' / f'{name}.png')
        self._annotations.append(dict(image_id=image_id, file_name=f'{name}.png',
                                      segments_info=segments))

    def _finish(self) -> Path:
        content = dict(info=dict(description='Predictions of mmseg_instbox'), licenses=[],
                       images=self._images.rows(), annotations=self._annotations,
                       categories=_category_table(self.categories))
        return write_json(content, self.out_dir / 'panoptic.json')


def panoptic_segments(sample: SegDataSample, dataset_meta: dict,
                      score_thr: float = 0.) -> tuple[np.ndarray, list[dict]]:
    """Returns the segment of each pixel, and a description of each segment.

    Args:
        sample: With ``pred_sem_seg`` and ``pred_instances``.
        dataset_meta: ``classes`` and ``thing_classes``.
        score_thr: Instances of a lower score are left out.

    Returns:
        tuple[ndarray, list[dict]]: Ids (H, W) int32, from 1 on, first the instances and then all
        categories that are no things, the background, too; 0 is void: a thing without instance. Of
        each segment that has pixels ``id``, ``category_id``, ``area``, ``bbox`` (x, y, width,
        height), ``iscrowd``, and for instances ``score``.

    Raises:
        ValueError: See :func:`read_instances` and :func:`read_segments`.
    """
    categories = read_categories(dataset_meta)
    return _segments(sample, read_instances(sample, categories, score_thr), categories)


def id_colors(id_map: np.ndarray) -> np.ndarray:
    """Colours (H, W, 3) uint8 of ids (H, W): id = R + 256 G + 256 * 256 B."""
    return np.stack([id_map >> shift & 255 for shift in (0, 8, 16)], axis=-1).astype(np.uint8)


def _segments(sample: SegDataSample, instances: Instances,
              categories: Categories) -> tuple[np.ndarray, list[dict]]:
    index_map, segment_categories, _ = read_segments(sample, instances, categories)
    id_map = index_map + 1
    segments = []
    for segment_id in np.unique(id_map[id_map > 0]).tolist():
        category = segment_categories[segment_id - 1]
        segment = dict(id=segment_id, category_id=categories.coco_ids[category],
                       **_extent(id_map == segment_id), iscrowd=0)
        if segment_id <= len(instances.scores):
            segment['score'] = round(float(instances.scores[segment_id - 1]), 6)
        segments.append(segment)
    return id_map, segments


def _extent(mask: np.ndarray) -> dict:
    """Area and box of a mask (H, W) bool that is not empty."""
    rows, columns = mask.any(axis=1).nonzero()[0], mask.any(axis=0).nonzero()[0]
    left, top = int(columns[0]), int(rows[0])
    return dict(area=int(mask.sum()),
                bbox=[left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top])


def _category_table(categories: Categories) -> list[dict]:
    things = categories.thing_classes
    table = [dict(id=coco_id, name=name, supercategory='', isthing=int(name in things))
             for coco_id, name in zip(categories.coco_ids, categories.classes, strict=True)]
    for row, color in zip(table, categories.palette, strict=False):
        row['color'] = [int(value) for value in color]
    return table
