"""A sample with annotations, and data sets that may be damaged."""
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # makes coco_pictures importable by the tests


@pytest.fixture
def voc_copy(tiny_voc, tmp_path) -> Path:
    """A copy of ``tiny_voc`` that a test may damage."""
    return Path(shutil.copytree(tiny_voc, tmp_path / 'voc'))


@pytest.fixture
def loaded() -> dict:
    """Results as the loading transforms leave them: 12 x 16 pixels, ids 1, 300 and void.

    Every pixel of the image holds its own row and column, so that maps can be compared to it.
    """
    rows, columns = np.mgrid[:12, :16]
    img = np.stack([rows, columns, rows * 0], axis=-1).astype(np.uint8)
    seg_map = np.zeros((12, 16), np.uint8)
    inst_map = np.zeros((12, 16), np.int32)
    seg_map[2:6, 3:8], inst_map[2:6, 3:8] = 1, 1
    seg_map[4:11, 9:14], inst_map[4:11, 9:14] = 3, 300
    seg_map[2, 3:8] = inst_map[2, 3:8] = 255
    return dict(
        img=img, img_path='a.jpg', img_shape=(12, 16), ori_shape=(12, 16), gt_seg_map=seg_map,
        gt_inst_map=inst_map, seg_fields=['gt_seg_map', 'gt_inst_map'], thing_ids=[1, 3],
        num_classes=4)
