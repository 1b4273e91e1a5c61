import numpy as np
import pytest

from mmseg_instbox.datasets.transforms import InstCenterCrop


def test_image_and_maps_are_cut_at_the_same_place(loaded):
    before = {key: loaded[key].copy() for key in loaded['seg_fields']}
    results = InstCenterCrop(crop_size=(8, 6))(loaded)
    rows, columns = results['img'][..., 0], results['img'][..., 1]
    assert results['img'].shape == (6, 8, 3) and results['img_shape'] == (6, 8)
    assert rows[0, 0] == 3 and columns[0, 0] == 4
    for key, old in before.items():
        assert np.array_equal(results[key], old[rows, columns])
        assert results[key].dtype == old.dtype


def test_a_smaller_image_is_padded_with_void_when_asked(loaded):
    results = InstCenterCrop(crop_size=20, auto_pad=True)(loaded)
    for key in ('img', 'gt_seg_map', 'gt_inst_map'):
        assert results[key].shape[:2] == (20, 20)
    for key in results['seg_fields']:
        assert (results[key][12:] == 255).all() and (results[key][:, 16:] == 255).all()


def test_a_smaller_image_stays_small_otherwise(loaded):
    results = InstCenterCrop(crop_size=(20, 4))(loaded)
    assert results['gt_inst_map'].shape == results['img'].shape[:2] == (4, 16)


def test_only_inst_pad_may_pad():
    with pytest.raises(ValueError, match='InstPad'):
        InstCenterCrop(crop_size=4, auto_pad=True, pad_cfg=dict(type='Pad'))
