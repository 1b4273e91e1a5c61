"""Sizes, maps, blending and run lengths of the page; its drawings are tested with the backend."""
import numpy as np
import pytest

from mmseg_instbox.visualization.drawing import resize_map
from mmseg_instbox.web import view


@pytest.mark.parametrize('ids', [
    np.zeros((3, 4), int), np.array([[7]]), np.random.default_rng(0).integers(0, 3, (20, 30))])
def test_run_lengths_expand_to_the_map(ids):
    numbers = view.run_lengths(ids)
    values, lengths = numbers[::2], numbers[1::2]
    assert np.repeat(values, lengths).reshape(ids.shape).tolist() == ids.tolist()
    assert all(a != b for a, b in zip(values, values[1:], strict=False))


def test_all_categories_but_the_background_are_coloured():
    canvas = np.full((2, 2, 3), 100, np.uint8)
    palette = np.array([[9, 9, 9], [200, 0, 50]], np.uint8)
    drawn = view.blend_categories(canvas, np.array([[0, 1], [0, 0]]), palette, background=[0])
    assert drawn[0, 1].tolist() == [160, 40, 70]  # 0.4 of 100 and 0.6 of the colour
    assert (drawn[1] == 100).all() and (drawn[0, 0] == 100).all()
    everything = view.blend_categories(canvas, np.zeros((2, 2), int), palette, background=[])
    assert (everything == 45).all()


@pytest.mark.parametrize(('shape', 'shown'), [
    ((375, 500), (600, 800)),        # small: grows
    ((900, 700), (900, 700)),        # as it is
    ((3000, 4000), (768, 1024)),     # large: shrinks
    ((1, 5000), (1, 1024)),          # never without pixels
    ((2, 3), (533, 800)),
])
def test_display_size(shape, shown):
    assert view.display_size(shape) == shown


def test_a_map_enlarged_by_a_whole_factor_repeats_its_values():
    values = np.arange(12, dtype=np.int32).reshape(3, 4)
    assert (resize_map(values, (6, 12)) == values.repeat(2, 0).repeat(3, 1)).all()
    assert (resize_map(values.repeat(3, 0).repeat(3, 1), (3, 4)) == values).all()


def test_a_pixel_of_two_masks_belongs_to_the_first():
    masks = np.zeros((2, 2, 3), bool)
    masks[0, 0, :2] = True
    masks[1, :, 1] = True
    ids, areas = view.instance_map(masks)
    assert ids.tolist() == [[1, 1, 0], [0, 2, 0]] and areas.tolist() == [2, 2]
    assert view.instance_map(masks[:0])[0].tolist() == [[0, 0, 0]] * 2
