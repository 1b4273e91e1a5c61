"""Instances and categories as maps of pixels: VOC's PNG, and COCO's panoptic PNG with JSON."""
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mmseg_instbox.datasets.coco_masks import object_id
from mmseg_instbox.datasets.instance_maps import VOID, object_boxes
from mmseg_instbox.datasets.voc_layout import voc_palette, write_list, write_mask
from mmseg_instbox.errors import InvalidInputError
from mmseg_instbox.evaluation.functional.panoptic_quality import predicted_segments
from mmseg_instbox.utils import atomic_write, write_json
from mmseg_instbox.utils.run_lengths import mask_crops

from .coco import ImageTable
from .result_writer import Categories, Instances, ResultWriter, sample_name, to_numpy


class PngWriter(ResultWriter):
    """Writes ``SegmentationClass/NAME.png`` and ``SegmentationObject/NAME.png``, and the names into
    ``ImageSets/Segmentation/predicted.txt``: ``InstBoxDataset`` reads them with the images in
    ``JPEGImages`` or elsewhere. ``labelmap.txt`` has the names of the categories as CVAT writes it.

    Files are indexed with VOC's palette; that of the objects is grey with 16 bit where an id is
    above 255.

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
        categories, ids = png_maps(sample, instances, self.categories)
        write_mask(self.out_dir / 'SegmentationClass' / f'{name}.png', categories)
        file = self.out_dir / 'SegmentationObject' / f'{name}.png'
        if ids.dtype == np.uint8:
            write_mask(file, ids)
        else:
            atomic_write(cv2.imencode('.png', ids)[1].tobytes(), file)

    def _finish(self) -> Path:
        write_list(self.out_dir / 'ImageSets' / 'Segmentation' / 'predicted.txt', self._names)
        colours = [','.join(map(str, colour)) for colour in voc_palette().tolist()]
        lines = [f'{name}:{colour}::' for name, colour in zip(self.categories.classes, colours,
                                                              strict=False)]
        write_list(self.out_dir / 'labelmap.txt', ['# label:color_rgb:parts:actions', *lines])
        return self.out_dir


def png_maps(sample: Any, instances: Instances,
             categories: Categories) -> tuple[np.ndarray, np.ndarray]:
    """Returns category (H, W) uint8 and instance of each pixel, of several that of the highest
    score: uint8, or uint16 if an id is above 255, 0 none, then 1, 2, ... without 255 (void)."""
    index_map, segment_categories, seg_map = read_segments(sample, instances, categories)
    number = len(instances.labels)
    index_map[index_map >= number] = -1
    shown, seg_map = index_map >= 0, seg_map.astype(np.uint8)
    seg_map[shown] = segment_categories[index_map[shown]]
    ids = np.array([*map(object_id, range(number)), 0])  # the last one where nothing is shown
    return seg_map, ids.astype(np.uint16 if ids.max() > VOID else np.uint8)[index_map]


class PanopticWriter(ResultWriter):
    """Writes ``panoptic/NAME.png``, in which the colour of a pixel is the id of its segment (R +
    256 G + 256 * 256 B), and ``panoptic.json``, which lists the segments."""
    needs_category_map = True

    def __init__(self, out_dir: str | Path, dataset_meta: dict, score_thr: float = 0.) -> None:
        super().__init__(out_dir, dataset_meta, score_thr)
        self._images = ImageTable()
        self._annotations: list[dict] = []

    def _write(self, sample: Any, instances: Instances, name: str, image_file: str | None) -> None:
        id_map, segments = panoptic_segments(sample, instances, self.categories)
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


def panoptic_segments(sample: Any, instances: Instances,
                      categories: Categories) -> tuple[np.ndarray, list[dict]]:
    """Returns the segment of each pixel, and a row of COCO's table for each that has pixels.

    Ids (H, W) int32 are from 1 on the instances and then all categories that are no things, the
    background, too; 0 is void: a thing without instance.
    """
    index_map, segment_categories, _ = read_segments(sample, instances, categories)
    id_map = index_map + 1
    areas, segments = np.bincount(id_map.ravel()), []
    ids, boxes = object_boxes(id_map, void=0)
    for segment_id, (x1, y1, x2, y2) in zip(ids.tolist(), boxes.astype(int).tolist(), strict=True):
        segment = dict(
            id=segment_id, category_id=categories.coco_ids[segment_categories[segment_id - 1]],
            area=int(areas[segment_id]), bbox=[x1, y1, x2 - x1, y2 - y1], iscrowd=0)
        if segment_id <= len(instances.scores):
            segment['score'] = round(float(instances.scores[segment_id - 1]), 6)
        segments.append(segment)
    return id_map, segments


def read_segments(sample: Any, instances: Instances,
                  categories: Categories) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Finds the instance or category that each pixel shows: of several instances the one with the
    highest score, the first of equals.

    Returns:
        tuple[ndarray, ndarray, ndarray]: Segment of each pixel (H, W) int32: 0 to N - 1 one of the
        N instances, then the C categories, and -1 a thing without instance or void; category of
        each segment, (N + C,) int64; and the category map of the sample, (H, W).

    Raises:
        ValueError: The sample has no category map.
    """
    if 'pred_sem_seg' not in sample:
        raise InvalidInputError(f'{sample_name(sample)} has no pred_sem_seg, the category of each '
                                'pixel, which this format needs.')
    seg_map = to_numpy(sample.pred_sem_seg.data)[0]
    # without masks, so that pixels of instances follow below
    segments = predicted_segments((), instances.labels, np.zeros(0), seg_map, categories.thing_ids,
                                  len(categories.classes))
    crops = list(mask_crops(instances.masks))
    for index in np.argsort(-instances.scores, kind='stable')[::-1]:
        segments.index_map[crops[index].window][crops[index].pixels] = index
    return segments.index_map, segments.categories, seg_map
