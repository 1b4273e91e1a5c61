"""Losses of boxes: IoU by areas counted pixel by pixel, smooth L1 by its formula."""
import pytest
import torch
from mmseg.registry import MODELS
from torch import Tensor

from mmseg_instbox.models import GIoULoss, IoULoss, SmoothL1Loss

SIZE = 24


def paint(box: list[float]) -> Tensor:
    """The pixels (SIZE, SIZE) in a box of integer coordinates, none in one that is inside out."""
    x1, y1, x2, y2 = map(int, box)
    pixels = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    if x1 < x2 and y1 < y2:
        pixels[y1:y2, x1:x2] = True
    return pixels


def slow_losses(pred: list[float], target: list[float]) -> tuple[float, float]:
    """1 - IoU and 1 - GIoU of two boxes, by counting pixels."""
    one, two = paint(pred), paint(target)
    iou = (one & two).sum().item() / (one | two).sum().item()
    low = [min(a, b) for a, b in zip(pred[:2], target[:2], strict=True)]
    high = [max(a, b) for a, b in zip(pred[2:], target[2:], strict=True)]
    hull = paint(low + high).sum().item()
    return 1 - iou, 1 - iou + (hull - (one | two).sum().item()) / hull


def random_boxes(num: int) -> Tensor:
    corner = torch.randint(0, SIZE // 2, (num, 2))
    return torch.cat([corner, corner + torch.randint(1, SIZE // 2, (num, 2))], dim=1).float()


@pytest.mark.parametrize('index, loss', enumerate(('IoULoss', 'GIoULoss')))
def test_losses_are_those_of_counted_pixels(index, loss):
    pred, target = random_boxes(300), random_boxes(300)
    expected = [slow_losses(*pair)[index] for pair in zip(pred.tolist(), target.tolist(),
                                                          strict=True)]
    assert min(expected) < 0.5 and max(expected) >= 1
    loss = MODELS.build(dict(type=loss, loss_weight=2.0))
    each = loss(pred, target, reduction_override='none')
    assert torch.allclose(each, 2 * torch.tensor(expected), atol=1e-5)
    assert torch.allclose(loss(pred, target), each.mean())


@pytest.mark.parametrize('loss', [IoULoss(), GIoULoss()])
def test_the_true_box_has_no_loss(loss):
    boxes = random_boxes(20)
    assert loss(boxes, boxes).item() == pytest.approx(0, abs=1e-6)
    assert loss.loss_name.startswith('loss_') and loss.on_boxes


@pytest.mark.parametrize('loss', [IoULoss(reduction='none'), GIoULoss(reduction='none')])
def test_the_loss_does_not_depend_on_scale_and_place(loss):
    pred, target = random_boxes(50), random_boxes(50)
    moved = loss(pred * 7 + 30, target * 7 + 30)
    assert torch.allclose(moved, loss(pred, target), atol=1e-4)


def test_giou_draws_boxes_that_do_not_meet_together_and_iou_does_not():
    target = torch.tensor([[10., 10, 14, 14]])
    for loss, moves in ((IoULoss(), False), (GIoULoss(), True)):
        pred = torch.tensor([[0., 10, 4, 14]], requires_grad=True)
        loss(pred, target).backward()
        assert (pred.grad[0, 2] < 0).item() == moves  # the right edge is to go right


@pytest.mark.parametrize('loss', [IoULoss(), GIoULoss()])
def test_following_the_gradient_reaches_the_box(loss):
    target = torch.tensor([[20., 30, 60, 90]])
    pred = torch.tensor([[30., 40, 50, 60]], requires_grad=True)
    optimizer = torch.optim.Adam([pred], lr=1)
    for _ in range(150):
        optimizer.zero_grad()
        loss(pred, target).backward()
        optimizer.step()
    assert loss(pred, target) < 0.1


@pytest.mark.parametrize('box', [[9., 9, 5, 12], [5, 5, 5, 5], [0, 0, 0, 9]])
def test_a_box_without_area_has_the_full_loss_and_a_finite_gradient(box):
    pred = torch.tensor([box], dtype=torch.float32, requires_grad=True)
    for loss in (IoULoss(), GIoULoss()):
        value = loss(pred, torch.tensor([[2., 2, 8, 8]]))
        grad, = torch.autograd.grad(value, pred)
        assert 1 <= value < 2 and torch.isfinite(grad).all()


def test_no_boxes_give_no_losses():
    nothing = torch.zeros(0, 4)
    assert GIoULoss(reduction='none')(nothing, nothing).shape == (0, )


def slow_smooth_l1(error: float, beta: float) -> float:
    return 0.5 * error**2 / beta if abs(error) < beta else abs(error) - 0.5 * beta


@pytest.mark.parametrize('beta', [0.25, 1.0])
def test_is_quadratic_below_beta_and_linear_above(beta):
    loss = MODELS.build(dict(type='SmoothL1Loss', beta=beta, reduction='none', loss_weight=2.0))
    pred, target = torch.randn(6, 4), torch.randn(6, 4) * 0.3
    expected = [[2 * slow_smooth_l1(e, beta) for e in row] for row in (pred - target).tolist()]
    assert torch.allclose(loss(pred, target), torch.tensor(expected), atol=1e-6)


def test_reductions():
    pred, target = torch.randn(6, 4), torch.randn(6, 4)
    each = SmoothL1Loss(reduction='none')(pred, target)
    assert torch.allclose(SmoothL1Loss()(pred, target), each.mean())
    assert torch.allclose(SmoothL1Loss(reduction='sum')(pred, target), each.sum())
    assert torch.equal(SmoothL1Loss()(pred, target, reduction_override='none'), each)


def test_weights_and_average_factor():
    pred, target, weight = torch.randn(6, 4), torch.randn(6, 4), torch.rand(6, 4)
    each = SmoothL1Loss(reduction='none')(pred, target)
    value = SmoothL1Loss()(pred, target, weight, avg_factor=3)
    assert torch.allclose(value, (each * weight).sum() / 3)


def test_gradient_is_bounded_by_the_loss_weight():
    pred = (torch.randn(50) * 5).requires_grad_()
    SmoothL1Loss(beta=0.25, reduction='sum', loss_weight=3)(pred, torch.zeros(50)).backward()
    assert pred.grad.abs().max() == pytest.approx(3)


def test_its_name_makes_it_part_of_the_sum():
    assert SmoothL1Loss().loss_name.startswith('loss_')
