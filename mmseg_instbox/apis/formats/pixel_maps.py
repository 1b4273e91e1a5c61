"""Instances and categories as maps of pixels: VOC's PNG, and COCO's panoptic PNG with JSON."""
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ...datasets.coco_masks import object_id
from ...datasets.instance_maps import VOID, object_boxes
from ...datasets.voc_layout import voc_palette, write_list, write_mask
from ...errors import InvalidInputError
from ...evaluation.functional.panoptic_quality import predicted_segments
from ...utils import atomic_write, write_json
from ...utils.run_lengths import Crop, mask_crops
from .coco import ImageTable
from .result_writer import Instances, ResultWriter, sample_name, to_numpy


class PngWriter(ResultWriter):
    """Writes ``SegmentationClass/NAME.png`` and ``SegmentationObject/NAME.png``, and the names into
    ``ImageSets/Segmentation/predicted.txt``: ``InstBoxDataset`` reads them with the images in
    ``JPEGImages`` or elsewhere. ``labelmap.txt`` has the names of the categories as CVAT writes it.

    Of several instances a pixel shows that of the highest score. Objects are 1, 2, ... without 255
    (void), and 0 is none. Files are indexed with VOC's palette; that of the objects is grey with 16
    bit where an id is above 255.

    Raises:
        ValueError: There are more than 255 categories; 255 stands for void.
    """
    needs_category_map = True

    def __init__(self, out_dir: str | Path, dataset_meta: dict, score_thr: float = 0.) -> None:
        super().__init__(out_dir, dataset_meta, score_thr)
        if len(self.categories.classes) > VOID:
            raise InvalidInputError(f'{len(self.categories.classes)} categories do not fit into a '
                                    'PNG of 8 bit, in which 255 is void: choose the format '
                                    "'panoptic'.")

    def _write(self, sample: Any, instances: Instances, name: str, image_file: str | None) -> None:
        categories = category_map(sample).astype(np.uint8)
        ids = np.zeros(instances.shape, np.uint16)
        for index, crop in lowest_first(instances):
            label = instances.labels[index]
            categories[crop.window][crop.pixels] = self.categories.thing_ids[label]
            ids[crop.window][crop.pixels] = object_id(index)
        write_mask(self.out_dir / 'SegmentationClass' / f'{name}.png', categories)
        file = self.out_dir / 'SegmentationObject' / f'{name}.png'
        if object_id(len(instances.labels) - 1) < VOID:
            write_mask(file, ids.astype(np.uint8))
        else:
            atomic_write(cv2.imencode('.png', ids)[1].tobytes(), file)

    def _finish(self) -> Path:
        write_list(self.out_dir / 'ImageSets' / 'Segmentation' / 'predicted.txt', self._names)
        colours = [','.join(map(str, colour)) for colour in voc_palette().tolist()]
        lines = [f'{name}:{colour}::' for name, colour in zip(self.categories.classes, colours,
                                                              strict=False)]
        write_list(self.out_dir / 'labelmap.txt', ['# label:color_rgb:parts:actions', *lines])
        return self.out_dir


class PanopticWriter(ResultWriter):
    """Writes ``panoptic/NAME.png``, in which the colour of a pixel is the id of its segment (R +
    256 G + 256 * 256 B), and ``panoptic.json``, which lists the segments that have pixels.

    Ids are from 1 on the instances and then all categories that are no things, the background, too;
    0 is void: a thing without instance. Of several instances a pixel shows that of the highest
    score.
    """
    needs_category_map = True

    def __init__(self, out_dir: str | Path, dataset_meta: dict, score_thr: float = 0.) -> None:
        super().__init__(out_dir, dataset_meta, score_thr)
        self._images = ImageTable()
        self._annotations: list[dict] = []

    def _write(self, sample: Any, instances: Instances, name: str, image_file: str | None) -> None:
        categories = self.categories
        # without masks, so that pixels of instances follow below
        found = predicted_segments((), instances.labels, np.zeros(0), category_map(sample),
                                   categories.thing_ids, len(categories.classes))
        for index, crop in lowest_first(instances):
            found.index_map[crop.window][crop.pixels] = index
        id_map, segments = found.index_map + 1, []
        areas, (ids, boxes) = np.bincount(id_map.ravel()), object_boxes(id_map, void=0)
        for segment_id, (x1, y1, x2, y2) in zip(ids.tolist(), boxes.astype(int).tolist(),
                                                strict=True):
            segments.append(dict(
                id=segment_id, category_id=categories.coco_ids[found.categories[segment_id - 1]],
                area=int(areas[segment_id]), bbox=[x1, y1, x2 - x1, y2 - y1], iscrowd=0))
            if segment_id <= len(instances.scores):
                segments[-1]['score'] = round(float(instances.scores[segment_id - 1]), 6)
        image_id = self._images.add(sample, name, image_file, instances.shape)
        bgr = np.stack([id_map >> shift & 255 for shift in (16, 8, 0)], axis=-1).astype(np.uint8)
        atomic_write(cv2.imencode('.png', bgr)[1].tobytes(),
                     self.out_dir / 'panoptic' / f'{name}.png')
        self._annotations.append(dict(image_id=image_id, file_name=f'{name}.png',
                                      segments_info=segments))

    def _finish(self) -> Path:
        classes, things, _, ids, palette = self.categories
        table = [dict(id=coco_id, name=name, supercategory='', isthing=int(name in things))
                 for coco_id, name in zip(ids, classes, strict=True)]
        for row, color in zip(table, palette, strict=False):
            row['color'] = [int(value) for value in color]
        content = self._images.content() | dict(annotations=self._annotations, categories=table)
        return write_json(content, self.out_dir / 'panoptic.json')


def category_map(sample: Any) -> np.ndarray:
    """Returns the category (H, W) of each pixel; ValueError if the sample has none."""
    if 'pred_sem_seg' not in sample:
        raise InvalidInputError(f'{sample_name(sample)} has no pred_sem_seg, the category of each '
                                'pixel, which this format needs.')
    return to_numpy(sample.pred_sem_seg.data)[0]


def lowest_first(instances: Instances) -> Iterator[tuple[int, Crop]]:
    """Yields indices and masks so that the highest score is painted last, of equals the first."""
    crops = list(mask_crops(instances.masks))
    for index in np.argsort(-instances.scores, kind='stable')[::-1].tolist():
        yield index, crops[index]
