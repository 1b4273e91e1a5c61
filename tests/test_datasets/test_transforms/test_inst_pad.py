import numpy as np
import pytest
from mmcv.transforms import Pad

from mmseg_instbox.datasets.transforms import InstPad


@pytest.mark.parametrize('options, shape', [
    (dict(size=(24, 20)), (20, 24)),
    (dict(size_divisor=5), (15, 20)),
    (dict(pad_to_square=True), (16, 16)),
    (dict(size=(18, 13), padding_mode='reflect'), (13, 18)),
])
def test_image_and_maps_grow_alike_and_the_maps_with_void(loaded, options, shape):
    before = {key: loaded[key].copy() for key in loaded['seg_fields']}
    image = Pad(**options)(dict(img=loaded['img']))['img']
    results = InstPad(**options)(loaded)
    assert np.array_equal(results['img'], image) and results['img_shape'] == shape
    for key, old in before.items():
        assert results[key].shape == shape and results[key].dtype == old.dtype
        assert np.array_equal(results[key][:12, :16], old)
        outside = np.ones(shape, bool)
        outside[:12, :16] = False
        assert (results[key][outside] == 255).all() and outside.any()


def test_maps_are_padded_with_void_only():
    InstPad(size=(4, 4), pad_val=7)
    with pytest.raises(ValueError, match='void'):
        InstPad(size=(4, 4), pad_val=dict(img=0, seg=0))


def test_an_image_without_maps_is_padded():
    results = InstPad(size=(6, 6))(dict(img=np.ones((4, 4, 3), np.uint8)))
    assert results['img'].shape == (6, 6, 3)
