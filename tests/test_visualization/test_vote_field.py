import numpy as np
import pytest
import torch

from mmseg_instbox.core.feature_grid import cell_points
from mmseg_instbox.visualization import draw_vote_field
from mmseg_instbox.visualization.vote_field import (
    TINT,
    dim,
    direction_colors,
    draw_dots,
    draw_lines,
    spread_cells,
)

SHAPE, GRID = (80, 120), (8, 12)  # cells of 10 pixels
WHITE = 255


def grey_image(shape=SHAPE):
    return np.full((*shape, 3), 100, np.uint8)


def field(cells=(), centre=(60, 40), category=1):
    """Probabilities and boxes of three categories; ``cells`` are of a thing around ``centre``."""
    scores = torch.zeros(3, *GRID)
    scores[0] = 1
    boxes = torch.tensor([*centre, *centre], dtype=torch.float32)[:, None, None].repeat(1, *GRID)
    boxes += torch.tensor([-8., -6, 8, 6])[:, None, None]
    for row, column in cells:
        scores[:, row, column] = 0
        scores[category, row, column] = 1
    return boxes, scores


def draw(boxes, scores, image=None, extent=SHAPE):
    image = grey_image() if image is None else image
    return draw_vote_field(image, boxes, scores, [1, 2], extent)


def test_nothing_but_background_is_the_dimmed_picture():
    assert np.array_equal(draw(*field()), dim(grey_image()))


def test_only_cells_of_things_are_coloured():
    drawn = draw(*field([(1, 1)], centre=(15, 15)))
    changed = (drawn != dim(grey_image())).any(axis=2)
    assert changed[10:20, 10:20].all()
    changed[9:21, 9:21] = False  # the outline has a width
    assert not changed.any()


def test_lines_end_in_a_dot_at_the_centre_of_the_box():
    drawn = draw(*field([(1, 1), (6, 10)], centre=(60, 40)))
    rows, columns = np.nonzero((drawn[20:60, 30:100] == WHITE).all(axis=2))  # outlines are outside
    assert len(rows) and np.abs(rows + 20 - 40).max() <= 1 and np.abs(columns + 30 - 60).max() <= 1


def test_dots_of_all_cells_are_there_though_lines_are_of_some():
    boxes, scores = field([(row, column) for row in range(8) for column in range(12)])
    points = cell_points(GRID, SHAPE).permute(2, 0, 1)
    boxes = torch.cat([points - 3, points + 3])  # each cell sees its own object
    drawn = draw(boxes, scores)
    assert (drawn[5::10, 5::10].min(axis=2) > 200).all()


def test_colour_is_the_direction_in_which_the_centre_lies():
    cells = [(4, 2), (4, 9), (1, 6), (6, 6)]
    boxes, scores = field(cells, centre=(65, 45))
    drawn, base = draw(boxes, scores), dim(grey_image())[0, 0]
    for (row, column), towards in zip(cells, [(1, 0), (-1, 0), (0, 1), (0, -1)], strict=True):
        color = direction_colors(np.array(towards, dtype=float))
        corner = drawn[10 * row + 2, 10 * column + 2]
        assert np.allclose(corner, base * (1 - TINT) + color * TINT, atol=6)


def test_opposite_directions_have_opposite_colours():
    angles = np.linspace(0, 2 * np.pi, 13)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    there, back = direction_colors(vectors).astype(int), direction_colors(-vectors).astype(int)
    assert np.abs(there - back).sum(axis=1).min() > 250
    assert np.array_equal(there, direction_colors(7 * vectors))
    assert there[0].argmax() == 0  # right is red


def test_a_mirrored_scene_gives_the_mirrored_dots():
    boxes, scores = field([(2, 3), (2, 4), (3, 3), (5, 9)], centre=(45, 33))
    mirrored = torch.stack([120 - boxes[2], boxes[1], 120 - boxes[0], boxes[3]]).flip(2)
    there = (draw(boxes, scores) == WHITE).all(axis=2)
    back = (draw(mirrored, scores.flip(2)) == WHITE).all(axis=2)[:, ::-1]
    assert there.sum() > 20 and (there != back).mean() < 0.005


def test_grid_beyond_the_image_keeps_its_scale():
    boxes, scores = field([(1, 1)], centre=(15, 15))
    whole = draw(boxes, scores)
    part = draw(boxes, scores, grey_image((73, 111)))
    assert np.array_equal(part, whole[:73, :111])


def test_unsound_boxes_and_probabilities_are_left_out():
    boxes, scores = field([(1, 1), (1, 2), (1, 3), (1, 4), (1, 5)])
    boxes[0, 1, 1] = torch.nan
    boxes[2, 1, 2] = torch.inf
    boxes[2, 1, 3] = boxes[0, 1, 3]
    scores[:, 1, 4] = torch.nan
    assert np.array_equal(draw(boxes, scores), draw(*field([(1, 5)])))


def test_categories_that_are_no_things_do_not_vote():
    boxes, scores = field([(1, 1)], category=2)
    assert np.array_equal(draw_vote_field(grey_image(), boxes, scores, [1], SHAPE),
                          dim(grey_image()))
    assert not np.array_equal(draw(boxes, scores), dim(grey_image()))


def test_far_away_centres_do_no_harm():
    boxes, scores = field([(4, 4)])
    boxes[:, 4, 4] = torch.tensor([-3e30, 20, -2e30, 60])
    assert draw(boxes, scores).shape == (*SHAPE, 3)


def test_takes_arrays_and_half_precision_and_changes_nothing():
    image, (boxes, scores) = grey_image(), field([(1, 1), (4, 5)])
    expected, before = draw(boxes, scores), boxes.clone()
    assert np.array_equal(draw(boxes.numpy(), scores.numpy(), image), expected)
    assert np.array_equal(draw(boxes.half(), scores.half(), image), expected)
    assert (image == 100).all() and torch.equal(boxes, before)


def test_wrong_input_is_refused():
    boxes, scores = field()
    with pytest.raises(ValueError, match=r'probabilities \(3, 8, 11\) and boxes \(4, 8, 12\)'):
        draw(boxes, scores[..., 1:])
    with pytest.raises(ValueError, match='uint8'):
        draw(boxes, scores, grey_image().astype(np.float32))


def test_spread_cells_gives_each_pixel_the_value_of_its_cell():
    grid = np.arange(12, dtype=np.int16).reshape(3, 4)
    spread = spread_cells(grid, (15, 20), (13, 18))
    assert all(spread[y, x] == grid[y // 5, x // 5] for y in range(13) for x in range(18))


def test_lines_and_dots_keep_to_their_places():
    canvas = np.zeros((40, 40, 3), np.uint8)
    points, color = np.array([[10.5, 10.5]]), np.array([[250, 0, 0]], np.uint8)
    line = draw_lines(canvas, points, np.array([[30.5, 10.5]]), color, 1)
    assert (line[10, 10:31, 0] > 100).all() and not line[13:].any() and not line[:, 33:].any()
    dot = draw_dots(canvas, points, 2)
    assert (dot[10, 10] == WHITE).all() and not dot[:, 15:].any() and not canvas.any()
