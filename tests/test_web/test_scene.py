"""Sizes and maps of what the page shows."""
import numpy as np
import pytest

from mmseg_instbox.web import scene


@pytest.mark.parametrize(('shape', 'shown'), [
    ((375, 500), (600, 800)),        # small: grows
    ((900, 700), (900, 700)),        # as it is
    ((3000, 4000), (768, 1024)),     # large: shrinks
    ((1, 5000), (1, 1024)),          # never without pixels
    ((2, 3), (533, 800)),
])
def test_display_size(shape, shown):
    assert scene.display_size(shape) == shown


def test_a_map_enlarged_by_a_whole_factor_repeats_its_values():
    values = np.arange(12, dtype=np.int32).reshape(3, 4)
    assert (scene.resize_map(values, (6, 12)) == values.repeat(2, 0).repeat(3, 1)).all()
    assert (scene.resize_map(values.repeat(3, 0).repeat(3, 1), (3, 4)) == values).all()


def test_a_pixel_of_two_masks_belongs_to_the_first():
    masks = np.zeros((2, 2, 3), bool)
    masks[0, 0, :2] = True
    masks[1, :, 1] = True
    ids, areas = scene.instance_map(masks)
    assert ids.tolist() == [[1, 1, 0], [0, 2, 0]] and areas.tolist() == [2, 2]
    assert scene.instance_map(masks[:0])[0].tolist() == [[0, 0, 0]] * 2
