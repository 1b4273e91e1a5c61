"""Blending and run lengths of the page; its drawings are tested with the backend."""
import numpy as np
import pytest

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


def test_categories_without_a_palette_get_distinct_colours():
    colors = view.category_colors(dict(classes=list('abcdef'), palette=None))
    assert len(np.unique(colors, axis=0)) == 6
