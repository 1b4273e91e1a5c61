"""LeanReLU6 is ReLU6, but for the memory that it keeps for the backward pass."""
import copy

import pytest
import torch
from mmseg.registry import MODELS
from torch import nn

from mmseg_instbox.models.activations import LeanReLU6

VALUES = [-7., -1e-6, -0., 0., 1e-6, 3., 6. - 1e-6, 6., 6. + 1e-6, 9., float('inf'), -float('inf')]


@pytest.mark.parametrize('inplace', [False, True])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64, torch.bfloat16])
def test_values_and_gradients_are_those_of_relu6(inplace, dtype):
    x = torch.tensor(VALUES, dtype=dtype, requires_grad=True)
    y = x.detach().clone().requires_grad_()
    grad = torch.arange(1., len(VALUES) + 1).to(dtype)
    own, other = LeanReLU6(inplace)(x * 1), nn.ReLU6(inplace)(y * 1)
    own.backward(grad)
    other.backward(grad)
    assert torch.equal(own, other)
    assert torch.equal(x.grad, y.grad)


def network(activation: str) -> nn.Module:
    return MODELS.build(dict(
        type='mmseg.MobileNetV2', widen_factor=0.25, act_cfg=dict(type=activation),
        norm_cfg=dict(type='BN')))


def kept_bytes(net: nn.Module, x: torch.Tensor) -> int:
    """What autograd keeps for the backward pass, parameters aside."""
    kept = {}
    parameters = {each.untyped_storage().data_ptr() for each in net.parameters()}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage  # alive, so that no address is used twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        net(x)
    return sum(storage.nbytes() for storage in kept.values())


def test_a_backbone_trains_the_same_and_keeps_less():
    torch.manual_seed(0)
    plain, lean, x = network('ReLU6'), network('LeanReLU6'), torch.randn(2, 3, 64, 64)
    lean.load_state_dict(plain.state_dict())
    start = copy.deepcopy(plain.state_dict())
    for net in (plain, lean):
        sum(each.square().mean() for each in net(x)).backward()
    for one, other in zip(plain.parameters(), lean.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)
    changed = plain.state_dict()
    assert all(torch.equal(value, changed[key]) for key, value in lean.state_dict().items())
    assert any(not torch.equal(value, changed[key]) for key, value in start.items())
    assert kept_bytes(lean, x) < 0.8 * kept_bytes(plain, x)


def test_without_gradients_the_result_may_take_the_place_of_the_input():
    x = torch.tensor(VALUES)
    with torch.no_grad():
        result = LeanReLU6(inplace=True)(x)
    assert result is x or result.data_ptr() == x.data_ptr()
    assert x.max() == 6 and x.min() == 0
