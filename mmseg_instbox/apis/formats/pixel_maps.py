"""Instances and categories as maps of pixels: VOC's PNG, and COCO's panoptic PNG with JSON."""
import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from scipy.ndimage import find_objects

from mmseg_instbox.datasets.coco_masks import object_id
from mmseg_instbox.datasets.instance_maps import VOID
from mmseg_instbox.datasets.voc_layout import voc_palette, write_list, write_mask
from mmseg_instbox.errors import InvalidInputError
from mmseg_instbox.utils import atomic_write, write_json

from .coco import ImageTable
from .instances import Categories, Instances, read_segments
from .result_writer import ResultWriter

if TYPE_CHECKING:
    from mmseg.structures import SegDataSample


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

    def _write(self, sample: 'SegDataSample', instances: Instances, name: str,
               image_file: str | None) -> None:
        categories, ids = png_maps(sample, instances, self.categories)
        write_mask(self.out_dir / 'SegmentationClass' / f'{name}.png', categories)
        write = write_mask if ids.dtype == np.uint8 else _write_png
        write(self.out_dir / 'SegmentationObject' / f'{name}.png', ids)

    def _finish(self) -> Path:
        write_list(self.out_dir / 'ImageSets' / 'Segmentation' / 'predicted.txt', self._names)
        colours = [','.join(map(str, colour)) for colour in voc_palette().tolist()]
        lines = [f'{name}:{colour}::' for name, colour in zip(self.categories.classes, colours,
                                                              strict=False)]
        write_list(self.out_dir / 'labelmap.txt', ['# label:color_rgb:parts:actions', *lines])
        return self.out_dir


def png_maps(sample: 'SegDataSample', instances: Instances,
             categories: Categories) -> tuple[np.ndarray, np.ndarray]:
    """Returns category (H, W) uint8 and instance of each pixel, of several that of the highest
    score: uint8, or uint16 if an id is above 255, 0 none, then 1, 2, ... without 255 (void)."""
    index_map, segment_categories, seg_map = read_segments(sample, instances, categories)
    number = len(instances.labels)
    shown = (index_map >= 0) & (index_map < number)
    seg_map = seg_map.astype(np.uint8)
    seg_map[shown] = segment_categories[index_map[shown]]
    ids = np.array([*map(object_id, range(number)), 0])
    index_map[~shown] = number
    wide = ids.max() > np.iinfo(np.uint8).max
    return seg_map, ids.astype(np.uint16 if wide else np.uint8)[index_map]


class PanopticWriter(ResultWriter):
    """Writes ``panoptic/NAME.png``, in which the colour of a pixel is the id of its segment (R +
    256 G + 256 * 256 B), and ``panoptic.json``, which lists the segments."""
    needs_category_map = True

    def __init__(self, out_dir: str | Path, dataset_meta: dict, score_thr: float = 0.) -> None:
        super().__init__(out_dir, dataset_meta, score_thr)
        self._images = ImageTable()
        self._annotations: list[dict] = []

    def _write(self, sample: 'SegDataSample', instances: Instances, name: str,
               image_file: str | None) -> None:
        id_map, segments = panoptic_segments(sample, instances, self.categories)
        image_id = self._images.add(sample, name, image_file, instances.shape)
        colors = np.stack([id_map >> shift & 255 for shift in (0, 8, 16)], axis=-1)
        _write_png(self.out_dir / 'panoptic' / f'{name}.png', colors.astype(np.uint8))
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


def panoptic_segments(sample: 'SegDataSample', instances: Instances,
                      categories: Categories) -> tuple[np.ndarray, list[dict]]:
    """Returns the segment of each pixel, and a row of COCO's table for each that has pixels.

    Ids (H, W) int32 are from 1 on the instances and then all categories that are no things, the
    background, too; 0 is void: a thing without instance.
    """
    index_map, segment_categories, _ = read_segments(sample, instances, categories)
    id_map = index_map + 1
    areas, segments = np.bincount(id_map.ravel()), []
    for segment_id, window in enumerate(find_objects(id_map), start=1):
        if window is None:
            continue
        rows, columns = window
        segment = dict(
            id=segment_id, category_id=categories.coco_ids[segment_categories[segment_id - 1]],
            area=int(areas[segment_id]), bbox=[columns.start, rows.start,
                                               columns.stop - columns.start,
                                               rows.stop - rows.start], iscrowd=0)
        if segment_id <= len(instances.scores):
            segment['score'] = round(float(instances.scores[segment_id - 1]), 6)
        segments.append(segment)
    return id_map, segments


def _write_png(path: Path, pixels: np.ndarray) -> None:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, format='PNG')
    atomic_write(content.getvalue(), path)
