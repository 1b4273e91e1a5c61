"""Categories and instances as PNG, in the layout of PASCAL VOC."""
import io
from pathlib import Path

import numpy as np
from mmseg.structures import SegDataSample
from PIL import Image

from mmseg_instbox.datasets.coco_masks import object_id
from mmseg_instbox.datasets.instance_maps import VOID
from mmseg_instbox.datasets.voc_layout import write_list, write_mask
from mmseg_instbox.errors import InvalidInputError
from mmseg_instbox.utils import atomic_write

from .instances import (
    Categories,
    Instances,
    read_categories,
    read_instances,
    read_segments,
)
from .result_writer import ResultWriter


class PngWriter(ResultWriter):
    """Writes ``SegmentationClass/NAME.png`` and ``SegmentationObject/NAME.png``, and the names into
    ``ImageSets/Segmentation/predicted.txt``: ``InstBoxDataset`` reads them with the images in
    ``JPEGImages`` or elsewhere.

    Files are indexed with VOC's palette; that of the objects is grey with 16 bit where an id is
    above 255.

    Raises:
        ValueError: If there are more than 255 categories; 255 stands for void.
    """
    needs_category_map = True

    def __init__(self, out_dir: str | Path, dataset_meta: dict, score_thr: float = 0.) -> None:
        super().__init__(out_dir, dataset_meta, score_thr)
        if len(self.categories.classes) > VOID:
            raise InvalidInputError(f'{len(self.categories.classes)} categories do not fit into a '
                                    'PNG of 8 bit, in which 255 is void: choose the format '
                                    "'panoptic'.")

    def _write(self, sample: SegDataSample, instances: Instances, name: str,
               image_file: str | None) -> None:
        categories, ids = _maps(sample, instances, self.categories)
        write_map(categories, self.out_dir / 'SegmentationClass' / f'{name}.png')
        write_map(ids, self.out_dir / 'SegmentationObject' / f'{name}.png')

    def _finish(self) -> Path:
        write_list(self.out_dir / 'ImageSets' / 'Segmentation' / 'predicted.txt', self._names)
        return self.out_dir


def png_maps(sample: SegDataSample, dataset_meta: dict,
             score_thr: float = 0.) -> tuple[np.ndarray, np.ndarray]:
    """Returns category and instance of each pixel.

    Args:
        sample: With ``pred_sem_seg`` and ``pred_instances``.
        dataset_meta: ``classes`` and ``thing_classes``.
        score_thr: Instances of a lower score are left out; their pixels keep their category.

    Returns:
        tuple[ndarray, ndarray]: Categories (H, W) uint8, those of the instances on their pixels;
        and ids (H, W) uint8, or uint16 if one is above 255: 0 none, then 1, 2, ... in the order of
        the sample without 255, which is void. A pixel of several instances shows that of the
        highest score.

    Raises:
        ValueError: See :func:`read_instances` and :func:`read_segments`.
    """
    categories = read_categories(dataset_meta)
    return _maps(sample, read_instances(sample, categories, score_thr), categories)


def write_map(values: np.ndarray, path: Path) -> None:
    """Write a map (H, W), uint8 as PNG with VOC's palette or uint16 as grey PNG of 16 bit."""
    if values.dtype == np.uint8:
        write_mask(path, values)
        return
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, format='PNG')
    atomic_write(buffer.getvalue(), path)


def _maps(sample: SegDataSample, instances: Instances,
          categories: Categories) -> tuple[np.ndarray, np.ndarray]:
    index_map, segment_categories, seg_map = read_segments(sample, instances, categories)
    number = len(instances.labels)
    shown = (index_map >= 0) & (index_map < number)
    seg_map = seg_map.astype(np.uint8)
    seg_map[shown] = segment_categories[index_map[shown]]
    ids = np.array([*map(object_id, range(number)), 0])
    index_map[~shown] = number
    wide = ids.max() > np.iinfo(np.uint8).max
    return seg_map, ids.astype(np.uint16 if wide else np.uint8)[index_map]
