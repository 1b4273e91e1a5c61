import pytest
import torch
from mmseg.models.backbones import ResNetV1c
from mmseg.registry import MODELS
from torch import nn

from mmseg_instbox.models import FCRNResNet


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


@pytest.mark.parametrize('depth', [18, 50])
def test_keys_and_shapes_are_those_of_mmsegs_resnet(depth):
    ours = {key: value.shape for key, value in FCRNResNet(depth=depth).state_dict().items()}
    theirs = {key: value.shape for key, value in ResNetV1c(depth=depth).state_dict().items()}
    assert ours == theirs


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


@pytest.mark.parametrize('name', ['strides', 'dilations', 'contract_dilation'])
def test_strides_and_dilations_beside_it_are_refused(name):
    with pytest.raises(ValueError, match=name):
        FCRNResNet(depth=18, **{name: (1, 1, 1, 1)})
