import pytest
import torch
from mmseg.registry import MODELS

from mmseg_instbox.models import SmoothL1Loss


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
