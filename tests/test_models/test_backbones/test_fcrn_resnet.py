"""The dilated ResNet: what its cells see, and the dropout inside its blocks."""
import copy
import pickle
from functools import partial

import pytest
import torch
from mmseg.models.backbones import ResNet, ResNetV1c
from mmseg.registry import MODELS
from torch import nn

from mmseg_instbox.models import FCRNResNet
from mmseg_instbox.models.backbones.fcrn_resnet import drop_input


def build(depth: int, output_stride: int, **kwargs) -> FCRNResNet:
    """A narrow network in eval mode."""
    net = MODELS.build(
        dict(type='FCRNResNet', depth=depth, output_stride=output_stride, stem_channels=8,
             base_channels=8, **kwargs))
    net.eval()  # mmseg's returns None
    return net


def randomise(net: nn.Module) -> None:
    """Gives every batch normalisation weights and statistics of its own."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 1.5)


@pytest.mark.parametrize('depth, theirs', [
    (18, ResNetV1c), (34, ResNet), (50, ResNetV1c), (101, ResNetV1c), (152, ResNet)])
def test_a_checkpoint_of_mmsegs_resnet_loads_whole(depth, theirs):
    """ImageNet checkpoints also hold a classifier, ``fc``, which alone is left over."""
    with torch.device('meta'):
        ours, checkpoint = FCRNResNet(depth=depth), theirs(depth=depth).state_dict()
        checkpoint |= {'fc.weight': torch.empty(1000, 8), 'fc.bias': torch.empty(1000)}
    shapes = {key: value.shape for key, value in checkpoint.items()}
    missing, left_over = ours.load_state_dict(checkpoint, strict=False, assign=True)
    assert missing == [] and left_over == ['fc.weight', 'fc.bias']
    for key, value in ours.state_dict().items():
        assert value.shape == shapes[key], key


@pytest.mark.parametrize('depth', [18, 34, 50])
@pytest.mark.parametrize('deep_stem', [False, True])
def test_either_stem_can_be_asked_for(depth, deep_stem):
    assert hasattr(build(depth, 8, deep_stem=deep_stem), 'stem') == deep_stem


@pytest.mark.parametrize('output_stride', [8, 16, 32])
@pytest.mark.parametrize('depth', [18, 50])
def test_feature_strides(depth, output_stride):
    outs = build(depth, output_stride)(torch.rand(1, 3, 64, 96))
    strides = [4, 8, min(16, output_stride), output_stride]
    assert [out.shape[-2:] for out in outs] == [(64 // s, 96 // s) for s in strides]


@torch.no_grad()
@pytest.mark.parametrize('size', [(64, 96), (72, 88), (67, 83)])
@pytest.mark.parametrize('depth', [18, 34, 50])
@pytest.mark.parametrize('fine, coarse', [(8, 16), (16, 32), (8, 32)])
@pytest.mark.parametrize('style', ['pytorch', 'caffe'])
def test_dilation_computes_the_coarse_network_at_every_shift(fine, coarse, depth, size, style):
    """Every second (fourth) cell of the fine grid holds what the coarse network computes there."""
    coarse_net, fine_net = (build(depth, stride, style=style) for stride in (coarse, fine))
    randomise(coarse_net)
    fine_net.load_state_dict(coarse_net.state_dict())
    image, step = torch.randn(2, 3, *size), coarse // fine
    expected = coarse_net(image)[-1]
    sampled = fine_net(image)[-1][:, :, ::step, ::step]
    assert sampled.shape == expected.shape
    assert expected.std() > 1e-2
    assert (sampled - expected).abs().max() < 1e-4 * expected.abs().max()


def test_stride_32_is_mmsegs_resnet():
    theirs, ours = ResNetV1c(depth=18, stem_channels=8, base_channels=8), build(18, 32)
    theirs.eval()
    ours.load_state_dict(theirs.state_dict())
    image = torch.randn(1, 3, 64, 64)
    for out, expected in zip(ours(image), theirs(image), strict=True):
        assert torch.equal(out, expected)


@pytest.mark.parametrize('output_stride', [4, 12, '8', None])
def test_other_strides_are_refused(output_stride):
    with pytest.raises(ValueError, match='output_stride is one of 8, 16, 32'):
        FCRNResNet(output_stride=output_stride, depth=18)


@pytest.mark.parametrize('rates', [(0.5, ), (0.1, 1.0), (-0.1, 0)])
def test_other_rates_are_refused(rates):
    with pytest.raises(ValueError, match='dropout is the rates'):
        FCRNResNet(depth=18, dropout=rates)


def blocks_that_change(net: nn.Module, image: torch.Tensor) -> list[str]:
    """The stages whose output differs between two forward passes, though the input is the same."""
    feats, changed = net.stem(image) if net.deep_stem else None, []
    feats = net.maxpool(feats)
    for name in net.res_layers:
        first, second = (getattr(net, name)(feats) for _ in range(2))
        if not torch.equal(first, second):
            changed.append(name)
        feats = first
    return changed


@torch.no_grad()
@pytest.mark.parametrize('depth', [18, 50])
@pytest.mark.parametrize('rates, expected', [
    ((0., 0.), []), ((0.3, 0.), ['layer3']), ((0., 0.5), ['layer4']),
    ((0.3, 0.5), ['layer3', 'layer4'])])
def test_dropout_is_in_the_last_two_stages(depth, rates, expected):
    net = build(depth, 8, dropout=rates, norm_eval=True)
    randomise(net)
    image = torch.randn(2, 3, 32, 32)
    assert blocks_that_change(net, image) == []  # not in eval mode
    net.train()
    assert blocks_that_change(net, image) == expected


def test_dropout_changes_no_key():
    assert list(build(18, 8, dropout=(0.3, 0.5)).state_dict()) == list(build(18, 8).state_dict())


def test_dropout_is_inside_the_residual_branch():
    """With all of the branch dropped, a block passes on its input, or its projection."""
    net = build(18, 8, dropout=(0., 0.999999))
    net.train()
    block = net.layer4[1]
    block.norm2.eval()
    feats = torch.rand(1, 64, 4, 4)
    assert torch.equal(block(feats), feats)


@pytest.mark.parametrize('norm_eval', [False, True])
def test_statistics_of_batch_normalisation_are_trained_or_frozen(norm_eval):
    net = build(18, 8, norm_eval=norm_eval)
    net.train()
    before = {key: value.clone() for key, value in net.state_dict().items() if 'running' in key}
    net(torch.randn(2, 3, 32, 32) + 3)
    same = [torch.equal(net.state_dict()[key], value) for key, value in before.items()]
    assert len(same) == 2 * 22 and set(same) == {norm_eval}


@pytest.fixture
def layer() -> nn.Module:
    """A layer that passes its input on, half of it dropped."""
    layer = nn.Identity()
    layer.register_forward_pre_hook(partial(drop_input, rate=0.5))
    return layer


def test_values_are_dropped_and_the_others_enlarged_in_training(layer):
    out = layer(torch.ones(10000))
    assert set(out.tolist()) == {0., 2.}
    assert 0.47 < (out == 0).float().mean() < 0.53


def test_nothing_happens_in_evaluation(layer):
    layer.eval()
    assert torch.equal(layer(torch.ones(100)), torch.ones(100))


def test_a_copy_drops_too(layer):
    for again in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert (again(torch.ones(1000)) == 0).any()
