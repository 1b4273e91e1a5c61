import numpy as np
import pytest

from mmseg_instbox.evaluation.functional.error_analysis import CORRECT, ERROR_KINDS
from mmseg_instbox.visualization.error_kinds import KIND_COLORS, KIND_TITLES, draw_kinds

IMAGE = np.full((100, 200, 3), 90, np.uint8)


def draw(*kinds, names=None, void=None):
    """Triangles below the diagonals of two boxes; the picture is 4 times as large."""
    triangle = np.tri(60, dtype=bool)
    masks = np.zeros((2, 100, 200), bool)
    masks[0, 20:80, 20:80], masks[1, 20:80, 120:180] = triangle, triangle
    boxes = np.array([[20, 20, 80, 80], [120, 20, 180, 80]], np.float32)
    count = len(kinds)
    return draw_kinds(IMAGE, masks[:count], boxes[:count], names or ['cat'] * count, kinds, void)


def test_every_kind_has_a_colour_and_a_title():
    assert set(KIND_COLORS) == set(KIND_TITLES) == {CORRECT, *ERROR_KINDS}
    assert len(set(KIND_TITLES.values())) == len(KIND_TITLES)
    colors = np.array(list(KIND_COLORS.values()))
    distance = np.abs(colors[:, None] - colors).sum(-1) + 999 * np.eye(len(colors), dtype=int)
    assert distance.min() > 90


@pytest.mark.parametrize('kind', KIND_COLORS)
def test_outlines_and_labels_have_the_colour_of_the_kind(kind):
    picture = draw(kind)
    rows, columns = np.nonzero((picture == KIND_COLORS[kind]).all(-1))
    assert picture.shape == (400, 800, 3) and len(rows) > 1000
    # the outline reaches the triangle's corners, nothing the other half of the picture
    assert rows.max() >= 318 and columns.min() <= 81 and columns.max() < 400
    assert (picture[:, 500:] == 90).all()


def test_no_boxes_are_drawn():
    assert (draw('missed')[100:300, 316:324] == 90).all()


def test_each_has_its_own_kind():
    picture = draw('merged', 'missed')
    for half, kind, other in ((picture[:, :400], 'merged', 'missed'),
                              (picture[:, 400:], 'missed', 'merged')):
        assert (half == KIND_COLORS[kind]).all(-1).any()
        assert not (half == KIND_COLORS[other]).all(-1).any()


def test_labels_say_what_went_wrong():
    assert not np.array_equal(draw('border'), draw('border', names=['dog']))
    colors = {kind: (draw(kind) == KIND_COLORS[kind]).all(-1) for kind in ('correct', 'both')}
    widths = {kind: np.ptp(np.nonzero(found[:80])[1]) for kind, found in colors.items()}
    assert widths['both'] > 2 * widths['correct'] > 0  # 'cat' against '...: cat'


def test_void_is_hatched_and_nothing_is_fine():
    void = np.zeros((100, 200), bool)
    void[:, 190:] = True
    picture = draw(void=void)
    assert (picture[:, :760] == 90).all() and (picture[:, 760:] != 90).all()
