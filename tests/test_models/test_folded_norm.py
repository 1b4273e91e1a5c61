import math

import pytest
import torch
from mmcv.cnn import ConvModule
from mmengine.runner.checkpoint import load_state_dict
from torch import nn

from mmseg_instbox.models.folded_norm import FoldedNormMixin, fold_batch_norm


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
