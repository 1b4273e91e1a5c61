"""Arrays of the page: sizes, id maps, runs, and where colours go."""
import numpy as np
import pytest

from mmseg_instbox.web import layers


@pytest.mark.parametrize(('shape', 'shown'), [
    ((375, 500), (600, 800)),        # small: grows
    ((900, 700), (900, 700)),        # as it is
    ((3000, 4000), (768, 1024)),     # large: shrinks
    ((1, 5000), (1, 1024)),          # never without pixels
    ((2, 3), (533, 800)),
])
def test_display_size(shape, shown):
    assert layers.display_size(shape) == shown


def test_a_map_enlarged_by_a_whole_factor_repeats_its_values():
    values = np.arange(12).reshape(3, 4)
    assert (layers.resize_map(values, (6, 12)) == values.repeat(2, 0).repeat(3, 1)).all()
    assert (layers.resize_map(values.repeat(3, 0).repeat(3, 1), (3, 4)) == values).all()


def test_instance_map_gives_a_pixel_of_two_masks_to_the_first():
    masks = np.zeros((2, 2, 3), bool)
    masks[0, 0, :2] = True
    masks[1, :, 1] = True
    assert layers.instance_map(masks).tolist() == [[1, 1, 0], [0, 2, 0]]
    assert layers.instance_map(masks[:0]).tolist() == [[0, 0, 0]] * 2


@pytest.mark.parametrize('ids', [
    np.zeros((3, 4), int), np.array([[7]]), np.random.default_rng(0).integers(0, 3, (20, 30))])
def test_runs_spell_out_the_map(ids):
    numbers = layers.runs(ids)
    values, lengths = numbers[::2], numbers[1::2]
    assert np.repeat(values, lengths).reshape(ids.shape).tolist() == ids.tolist()
    assert all(a != b for a, b in zip(values, values[1:], strict=False))


def test_categories_colour_all_but_the_hidden_one():
    canvas = np.full((2, 2, 3), 100, np.uint8)
    palette = np.array([[9, 9, 9], [200, 0, 50]], np.uint8)
    drawn = layers.blend_categories(canvas, np.array([[0, 1], [0, 0]]), palette, hidden=0)
    assert drawn[0, 1].tolist() == [160, 40, 70]  # 0.4 of 100 and 0.6 of the colour
    assert (drawn[1] == 100).all() and (drawn[0, 0] == 100).all()
    everything = layers.blend_categories(canvas, np.zeros((2, 2), int), palette, hidden=None)
    assert (everything == 45).all()


def test_masks_have_a_rim_in_full_colour_and_leave_the_rest_alone():
    canvas = np.full((40, 60, 3), 100, np.uint8)
    ids = np.zeros((40, 60), np.int32)
    ids[5:35, 5:30], ids[5:35, 30:50] = 1, 2  # two that touch
    colors = np.array([[250, 0, 0], [0, 250, 0]], np.uint8)
    drawn = layers.blend_masks(canvas, ids, colors)
    assert (drawn[ids == 0] == 100).all()
    assert drawn[20, 15].tolist() == [160, 60, 60]  # 0.6 of 100 and 0.4 of the colour
    assert drawn[20, 29].tolist() == [250, 0, 0] and drawn[20, 30].tolist() == [0, 250, 0]
    assert drawn[5, 15].tolist() == [250, 0, 0]
    assert (canvas == 100).all()


def test_more_than_255_masks_keep_their_own_colours():
    ids = np.arange(300).reshape(15, 20).repeat(9, 0).repeat(9, 1)
    colors = np.stack([np.arange(299) % 256, np.arange(299) // 256, np.zeros(299)], 1)
    drawn = layers.blend_masks(np.zeros((*ids.shape, 3), np.uint8), ids, colors.astype(np.uint8))
    rims = drawn[0::9, 0::9][:, :, :2].reshape(-1, 2)[1:]  # the corner of each mask
    assert (rims == colors[:, :2]).all()


def test_boxes_are_drawn_on_their_edges():
    canvas = np.zeros((50, 50, 3), np.uint8)
    boxes, colors = np.array([[10., 20, 30, 40]]), np.array([[1, 2, 3]], np.uint8)
    drawn = layers.draw_boxes(canvas, boxes, colors, None, True).any(axis=2)
    rows, cols = np.flatnonzero(drawn.any(1)), np.flatnonzero(drawn.any(0))
    assert (rows[0], rows[-1], cols[0], cols[-1]) == (20, 39, 10, 29)
    assert not drawn[25:35, 15:25].any()
    assert not layers.draw_boxes(canvas, boxes, colors, None, False).any()
    assert layers.draw_boxes(canvas, boxes, colors, ['a'], False).any()
