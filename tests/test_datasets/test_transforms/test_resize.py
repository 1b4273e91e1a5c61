"""However thin an image is, it keeps a pixel a side; others are resized as by MMSegmentation."""
import mmseg.datasets.transforms as mmseg_transforms
import numpy as np
import pytest
from mmseg.registry import TRANSFORMS

from mmseg_instbox.datasets.transforms import Resize


def thin(height, width):
    return dict(img=np.full((height, width, 3), 7, np.uint8), gt_seg_map=np.ones((height, width)),
                gt_inst_map=np.full((height, width), 3, np.int32),
                seg_fields=['gt_seg_map', 'gt_inst_map'])


@pytest.mark.parametrize('config', [
    dict(type='Resize', scale=(416, 416), keep_ratio=True),
    dict(type='Resize', scale_factor=0.1, keep_ratio=True),
    dict(type='Resize', scale_factor=0.1),
    dict(type='RandomResize', scale=(96, 96), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomChoiceResize', scales=[(96, 96)], keep_ratio=True),
    dict(type='ResizeShortestEdge', scale=96, max_size=416)])
@pytest.mark.parametrize('shape', [(3000, 2), (2, 3000), (1, 5000)])
def test_every_image_keeps_a_pixel(config, shape):
    found = TRANSFORMS.build(config)(thin(*shape))
    assert min(found['img'].shape[:2]) == 1 < max(found['img'].shape[:2]) <= 500
    assert found['img_shape'] == found['img'].shape[:2]
    assert (found['img'] == 7).all() and (found['gt_seg_map'] == 1).all()
    assert found['gt_inst_map'].shape == found['img'].shape[:2]
    assert (found['gt_inst_map'] == 3).all()


@pytest.mark.parametrize('arguments', [
    dict(scale=(50, 40), keep_ratio=True), dict(scale=(50, 40)), dict(scale_factor=0.3),
    dict(scale_factor=0.3, keep_ratio=True)])
def test_other_images_are_resized_as_by_mmseg(arguments):
    image = np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8)
    found, expected = (kind(**arguments)(dict(img=image.copy())) for kind in (
        Resize, mmseg_transforms.Resize))
    assert found.keys() == expected.keys()
    assert np.array_equal(found['img'], expected['img'])
    assert found['scale_factor'] == expected['scale_factor']
