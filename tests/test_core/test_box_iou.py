import numpy as np
import pytest
import torch

from mmseg_instbox.core.box_iou import box_giou, box_iou


def pixel_iou(box: list[int], other: list[int]) -> float:
    masks = np.zeros((2, 30, 30), bool)
    for mask, (x1, y1, x2, y2) in zip(masks, (box, other), strict=True):
        mask[y1:y2, x1:x2] = True
    union = (masks[0] | masks[1]).sum()
    return (masks[0] & masks[1]).sum() / union if union else 0.0


def test_equals_the_iou_of_the_boxes_pixels():
    corners = np.sort(np.random.default_rng(0).integers(0, 30, (60, 2, 2)), axis=1)
    boxes = torch.from_numpy(corners.reshape(60, 4))
    iou = box_iou(boxes[:, None].float(), boxes[None].float())
    expected = [[pixel_iou(a, b) for b in boxes.tolist()] for a in boxes.tolist()]
    assert iou.shape == (60, 60)
    assert torch.allclose(iou, torch.tensor(expected, dtype=torch.float32), atol=1e-6)
    assert (iou > 0).float().mean() > 0.1  # the case is not an empty one


def test_pairs_at_the_same_index():
    boxes = torch.tensor([[0., 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10]])
    others = torch.tensor([[0., 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10]])
    assert box_iou(boxes, others).tolist() == pytest.approx([1, 1 / 3, 0])


def test_a_box_without_area_overlaps_nothing():
    flat, inside_out = torch.tensor([3., 3, 3, 9]), torch.tensor([9., 9, 3, 3])
    box = torch.tensor([0., 0, 10, 10])
    assert box_iou(flat, box) == 0 and box_iou(inside_out, box) == 0 and box_iou(flat, flat) == 0


def test_giou_of_the_same_box_is_one_and_of_far_ones_tends_to_minus_one():
    box = torch.tensor([3., 4, 10, 12])
    assert box_giou(box, box).item() == pytest.approx(1)
    assert box_giou(box, box + 1e5).item() == pytest.approx(-1, abs=1e-3)


def test_giou_golden_case():
    # 4 x 4 and 4 x 2, side by side with a gap of 2: union 24 of a hull of 10 x 4
    boxes = torch.tensor([[0., 0, 4, 4]]), torch.tensor([[6., 0, 10, 2]])
    assert box_giou(*boxes).tolist() == pytest.approx([24 / 40 - 1])


def test_giou_broadcasts_and_is_symmetric():
    boxes = torch.rand(5, 4) * 10
    boxes[:, 2:] += boxes[:, :2] + 0.1
    pairs = box_giou(boxes[:, None], boxes[None])
    assert pairs.shape == (5, 5) and torch.allclose(pairs, pairs.T)
    assert (pairs <= box_iou(boxes[:, None], boxes[None]) + 1e-6).all()
