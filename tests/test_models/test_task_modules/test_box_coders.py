"""Both box coders: formulas by hand, and decoding as the inverse of encoding."""
import math

import pytest
import torch
from mmseg.registry import TASK_UTILS

from mmseg_instbox.models import CornerBoxCoder, PixelBoxCoder


def random_boxes(num: int) -> torch.Tensor:
    corner, size = torch.rand(num, 2) * 500 - 50, torch.rand(num, 2) * 300 + 0.5
    return torch.cat([corner, corner + size], dim=1)


def test_golden_case():
    coder = TASK_UTILS.build(dict(type='PixelBoxCoder', scale=64))
    point, box = torch.tensor([100., 50.]), torch.tensor([90., 20., 218., 84.])
    # centre (154, 52), size 128 x 64
    expected = [54 / 64, 2 / 64, math.log(2), 0]
    assert coder.encode(point, box).tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize('scale', [1.0, 32.0, 64.0])
def test_decode_is_the_inverse_of_encode(scale):
    coder, points, boxes = PixelBoxCoder(scale), torch.rand(200, 2) * 400, random_boxes(200)
    assert torch.allclose(coder.decode(points, coder.encode(points, boxes)), boxes, atol=1e-2)
    deltas = torch.randn(5, 40, 4)
    points = points.reshape(5, 40, 2)
    again = coder.encode(points, coder.decode(points, deltas))
    assert torch.allclose(again, deltas, atol=1e-2 if scale == 1 else 1e-4)


def test_deltas_do_not_change_when_pixel_and_box_move_together():
    coder, points, boxes = PixelBoxCoder(), torch.rand(50, 2) * 400, random_boxes(50)
    shift = torch.tensor([13., -8.])
    moved = coder.encode(points + shift, boxes + shift.repeat(2))
    assert torch.allclose(moved, coder.encode(points, boxes), atol=1e-5)


def test_no_boxes_give_no_deltas():
    assert PixelBoxCoder().encode(torch.zeros(0, 2), torch.zeros(0, 4)).shape == (0, 4)


def test_an_untrained_network_gives_finite_boxes():
    boxes = PixelBoxCoder(max_size=500).decode(torch.zeros(1, 2), torch.full((1, 4), 90.))
    size = boxes[:, 2:] - boxes[:, :2]
    assert torch.allclose(size, torch.full_like(size, 500.), rtol=1e-3)


def test_golden_case_of_corners():
    coder = TASK_UTILS.build(dict(type='CornerBoxCoder', scale=64))
    point, box = torch.tensor([100., 50.]), torch.tensor([90., 20., 218., 84.])
    expected = [-10 / 64 + 0.5, -30 / 64 + 0.5, 118 / 64 - 0.5, 34 / 64 - 0.5]
    assert coder.encode(point, box).tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize('scale', [1.0, 32.0, 64.0])
def test_decode_is_the_inverse_of_encode_of_corners(scale):
    coder, points, boxes = CornerBoxCoder(scale), torch.rand(200, 2) * 400, random_boxes(200)
    assert torch.allclose(coder.decode(points, coder.encode(points, boxes)), boxes, atol=1e-3)
    deltas = torch.randn(5, 40, 4)
    again = coder.encode(points.reshape(5, 40, 2), coder.decode(points.reshape(5, 40, 2), deltas))
    assert torch.allclose(again, deltas, atol=1e-3)


def test_encode_is_the_formula_box_by_box():
    points, boxes = torch.rand(20, 2) * 400, random_boxes(20)
    deltas = CornerBoxCoder(16).encode(points, boxes)
    for (x, y), (x1, y1, x2, y2), delta in zip(points.tolist(), boxes.tolist(), deltas,
                                               strict=True):
        expected = [(x1 - x) / 16 + .5, (y1 - y) / 16 + .5, (x2 - x) / 16 - .5, (y2 - y) / 16 - .5]
        assert delta.tolist() == pytest.approx(expected, abs=1e-4)


def test_deltas_do_not_change_when_pixel_and_box_move_together_of_corners():
    coder, points, boxes = CornerBoxCoder(), torch.rand(50, 2) * 400, random_boxes(50)
    shift = torch.tensor([13., -8.])
    moved = coder.encode(points + shift, boxes + shift.repeat(2))
    assert torch.allclose(moved, coder.encode(points, boxes), atol=1e-5)


def test_both_coders_begin_at_the_same_box():
    points, deltas = torch.rand(9, 2) * 100, torch.zeros(9, 4)
    boxes = [coder.decode(points, deltas) for coder in (CornerBoxCoder(32), PixelBoxCoder(32))]
    assert torch.allclose(*boxes, atol=1e-4)
    assert torch.allclose(boxes[0][:, 2:] - boxes[0][:, :2], torch.tensor(32.), atol=1e-4)
