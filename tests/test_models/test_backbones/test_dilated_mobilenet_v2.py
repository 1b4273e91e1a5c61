import pytest
import torch
from mmseg.models.backbones import MobileNetV2
from mmseg.registry import MODELS
from torch import nn

from mmseg_instbox.models import DilatedMobileNetV2

STRIDES, DILATIONS = (1, 2, 2, 2, 1, 1, 1), (1, 1, 1, 1, 1, 2, 2)  # as in DeepLab at stride 16


def build(**kwargs) -> DilatedMobileNetV2:
    """A narrow network at stride 16, in eval mode, with statistics if it has a norm."""
    arguments = dict(
        widen_factor=0.25, strides=STRIDES, dilations=DILATIONS, out_indices=(1, 2, 4, 6)) | kwargs
    net = MODELS.build(dict(type='DilatedMobileNetV2', **arguments))
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.1, 0.5)
    net.eval()  # mmseg's returns None
    return net


def depthwise(net: nn.Module) -> list[nn.Conv2d]:
    return [module for module in net.modules() if isinstance(module, nn.Conv2d)
            and module.groups > 1]


def test_dilations_are_deeplabs():
    convs = depthwise(build())
    assert [conv.stride[0] for conv in convs] == [1, 2, 1, 2, 1, 1, 2] + 10 * [1]
    assert [conv.dilation for conv in convs] == 14 * [(1, 1)] + 3 * [(2, 2)]
    assert all(conv.padding == conv.dilation for conv in convs)


def test_the_stages_of_stride_8_dilate_as_they_lose_their_strides():
    convs = depthwise(build(strides=(1, 2, 2, 1, 1, 1, 1), dilations=(1, 1, 1, 2, 2, 4, 4)))
    assert [conv.dilation[0] for conv in convs] == 7 * [1] + 7 * [2] + 3 * [4]


@torch.no_grad()
@pytest.mark.parametrize('size', [(64, 96), (128, 64)])
def test_dilation_computes_the_coarse_network_at_every_shift(size):
    """Every second cell holds what the network of stride 32 computes there."""
    fine = build()
    coarse = build(strides=(1, 2, 2, 2, 1, 2, 1), dilations=7 * (1, ))
    coarse.load_state_dict(fine.state_dict())
    image = torch.randn(2, 3, *size)
    expected, result = coarse(image), fine(image)
    for ours, theirs in zip(result[:3], expected[:3], strict=True):
        assert torch.equal(ours, theirs)
    assert expected[3].shape[-2:] == (size[0] // 32, size[1] // 32) and expected[3].std() > 1e-2
    sampled = result[3][:, :, ::2, ::2]
    assert (sampled - expected[3]).abs().max() < 1e-4 * expected[3].abs().max()


def test_state_dict_keys_are_the_parents():
    with torch.device('meta'):
        ours, theirs = (cls(strides=STRIDES, dilations=DILATIONS).state_dict()
                        for cls in (DilatedMobileNetV2, MobileNetV2))
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}


@torch.no_grad()
def test_without_dilation_it_is_mmsegs_network():
    arguments = dict(widen_factor=0.25, dilations=7 * (1, ), strides=(1, 2, 2, 2, 1, 2, 1))
    ours, theirs = build(**arguments), MobileNetV2(out_indices=(1, 2, 4, 6), **arguments)
    theirs.load_state_dict(ours.state_dict())
    theirs.eval()
    image = torch.randn(1, 3, 64, 64)
    for result, expected in zip(ours(image), theirs(image), strict=True):
        assert torch.equal(result, expected)


@torch.no_grad()
def test_folding_the_batch_normalisation_keeps_the_outputs():
    net, folded = build(), build(norm_cfg=None)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    folded.load_state_dict(net.state_dict())
    image = torch.randn(1, 3, 64, 64)
    for result, expected in zip(folded(image), net(image), strict=True):
        assert expected.std() > 1e-2
        assert (result - expected).abs().max() < 1e-4 * expected.abs().max()
