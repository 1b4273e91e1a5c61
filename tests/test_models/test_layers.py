"""The layers: LeanReLU6, convolutions in phases, folded normalisation, means without padding."""
import copy
import math

import pytest
import torch
from mmcv.cnn import ConvModule
from mmengine.runner.checkpoint import load_state_dict
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn

from mmseg_instbox.models.layers import (
    FoldedNormMixin,
    ImageMean,
    LeanReLU6,
    PhasedConv2d,
    fold_batch_norm,
)

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


class Layers(nn.Module):
    """Two convolutions with normalisation; the first may have none."""

    def __init__(self, norm: bool = True) -> None:
        super().__init__()
        self.first = nn.Sequential(
            ConvModule(3, 6, 3, norm_cfg=dict(type='BN') if norm else None),
            ConvModule(6, 6, 3, groups=6, norm_cfg=dict(type='BN') if norm else None))
        self.second = ConvModule(6, 5, 1, norm_cfg=dict(type='BN'))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x))


class FoldedLayers(FoldedNormMixin, Layers):
    pass


@pytest.fixture
def layers() -> Layers:
    """With statistics, in eval mode."""
    layers = Layers()
    for module in layers.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.01, 1.5)
    return layers.eval()


LOADERS = pytest.mark.parametrize('load', [
    lambda model, state: model.load_state_dict(state),
    lambda model, state: load_state_dict(model, state, strict=True),
])


@torch.no_grad()
@LOADERS
@pytest.mark.parametrize('prefix', ['', 'head.'])
def test_the_outputs_are_those_of_convolution_and_normalisation(layers, load, prefix):
    folded = FoldedLayers(norm=False).eval()
    model = nn.ModuleDict(dict(head=folded)) if prefix else folded
    state = {f'{prefix}{key}': value for key, value in layers.state_dict().items()}
    load(model, state)
    image = torch.randn(2, 3, 9, 9)
    torch.testing.assert_close(folded(image), layers(image))
    assert state.keys() == {f'{prefix}{key}' for key in layers.state_dict()}  # the caller's stays
    assert sum(isinstance(module, nn.BatchNorm2d) for module in folded.modules()) == 1


@torch.no_grad()
def test_a_norm_that_the_module_has_is_not_folded(layers):
    same = FoldedLayers().eval()
    same.load_state_dict(layers.state_dict())
    for key, value in same.state_dict().items():
        assert torch.equal(value, layers.state_dict()[key]), key


@LOADERS
def test_folded_weights_load_as_they_are(layers, load):
    first, again = FoldedLayers(norm=False), FoldedLayers(norm=False)
    first.load_state_dict(layers.state_dict())
    load(again, first.state_dict())
    for key, value in again.state_dict().items():
        assert torch.equal(value, first.state_dict()[key]), key


def test_folding_by_hand():
    state = {
        'a.conv.weight': torch.tensor([[[[6.]]], [[[1.]]]]),
        'a.bn.weight': torch.tensor([2., 3.]),
        'a.bn.bias': torch.tensor([0.5, 0.25]),
        'a.bn.running_mean': torch.tensor([4., -1.]),
        'a.bn.running_var': torch.tensor([15., 8.]),
        'b.bn.bias': torch.ones(1),
    }
    fold_batch_norm(state, 'a', eps=1)  # divides by 4 and by 3
    assert state.keys() == {'a.conv.weight', 'a.conv.bias', 'b.bn.bias'}
    assert state['a.conv.weight'].flatten().tolist() == [3, 1]
    assert state['a.conv.bias'].tolist() == pytest.approx([0.5 - 4 * 2 / math.sqrt(16), 1.25])


def make_sample(img_shape: tuple[int, int] | None) -> SegDataSample:
    meta = {} if img_shape is None else dict(img_shape=img_shape)
    sample = SegDataSample(metainfo=meta)
    sample.gt_sem_seg = PixelData(data=torch.zeros(1, 64, 96, dtype=torch.long))
    return sample


def test_padding_does_not_count_in_training():
    mean, feats = ImageMean(), torch.rand(3, 5, 4, 6)
    mean.remember_padding([make_sample((64, 96)), make_sample((32, 48)), make_sample(None)])
    result = mean(feats)
    assert result.shape == (3, 5, 1, 1)
    expected = [feats[0], feats[1, :, :2, :3], feats[2]]
    for each, part in zip(result[..., 0, 0], expected, strict=True):
        assert torch.allclose(each, part.mean(dim=(1, 2)))
    assert torch.allclose(mean.eval()(feats)[..., 0, 0], feats.mean(dim=(2, 3)))


def test_a_thin_image_has_a_mean():
    mean, feats = ImageMean(), torch.rand(1, 5, 4, 6)
    mean.remember_padding([make_sample((1, 96))])
    assert torch.allclose(mean(feats)[0, :, 0, 0], feats[0, :, 0].mean(dim=1))


@pytest.mark.parametrize('dilation, size', [(2, (6, 10)), (2, (5, 6)), (3, (9, 6)), (1, (5, 5))])
@pytest.mark.parametrize('bias', [False, True])
@pytest.mark.parametrize('groups', [1, 4])
def test_convolutions_in_phases_are_convolutions(dilation, size, bias, groups):
    torch.manual_seed(0)
    settings = dict(padding=dilation, dilation=dilation, groups=groups, bias=bias)
    plain, phased = nn.Conv2d(4, 4, 3, **settings), PhasedConv2d(4, 4, 3, **settings)
    phased.load_state_dict(plain.state_dict())
    results = []
    for conv in (plain, phased):
        x = torch.randn(2, 4, *size, generator=torch.Generator().manual_seed(1)).requires_grad_()
        y = conv(x)
        (y * torch.linspace(-1, 1, y.numel()).view_as(y)).sum().backward()
        results.append([y, x.grad, *(weight.grad for weight in conv.parameters())])
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected)


def test_phases_are_small_convolutions_without_dilation(monkeypatch):
    seen = []
    monkeypatch.setattr('torch.nn.functional.conv2d', lambda x, *args, **kwargs: seen.append(
        (tuple(x.shape), kwargs.get('dilation', 1))) or x)
    conv = PhasedConv2d(4, 4, 3, padding=2, dilation=2, groups=4)
    conv(torch.zeros(3, 4, 6, 10))
    assert seen == [((12, 4, 3, 5), 1)]
