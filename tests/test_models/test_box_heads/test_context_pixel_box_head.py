import math

import pytest
import torch
from mmseg.registry import MODELS
from torch import Tensor

from mmseg_instbox.errors import InvalidInputError
from mmseg_instbox.models import ContextPixelBoxHead, PixelBoxHead


def build(**kwargs) -> ContextPixelBoxHead:
    arguments = dict(
        in_channels=(5, 6, 7), in_index=(0, 2, 3), context_channels=8, context_dilations=(1, 2),
        channels=9, num_convs=1, norm_cfg=dict(type='BN'),
        coder=dict(type='PixelBoxCoder', scale=32)) | kwargs
    return MODELS.build(dict(type='ContextPixelBoxHead', **arguments)).eval()


def features(height: int, width: int, coarse: int = 2) -> list[Tensor]:
    """Of a backbone: a fine grid, one that is not used, and two coarse ones."""
    return [torch.randn(1, channels, height // factor, width // factor, requires_grad=True)
            for channels, factor in ((5, 1), (4, 1), (6, coarse), (7, coarse))]


@pytest.mark.parametrize('coarse', [1, 2, 4])
def test_boxes_are_predicted_on_the_fine_grid(coarse):
    inputs = features(8, 12, coarse)
    head = build()
    assert head(inputs).shape == (1, 4, 8, 12)
    boxes = head.predict(inputs, (64, 96))
    assert boxes.shape == (1, 4, 8, 12) and (boxes[:, 2:] > boxes[:, :2]).all()


def test_without_weights_the_boxes_lie_at_the_cells():
    head = build()
    torch.nn.init.zeros_(head.conv_seg.weight)
    torch.nn.init.zeros_(head.conv_seg.bias)
    box = head.predict(features(8, 12), (64, 96))[0, :, 3, 5].tolist()
    assert box == pytest.approx([44 - 16, 28 - 16, 44 + 16, 28 + 16])


def reach(head: ContextPixelBoxHead) -> list[Tensor]:
    """By how much the first cell's box depends on each cell of the features in use."""
    inputs = features(64, 64)
    deltas = head(inputs)
    used = [inputs[i] for i in (0, 2, 3)]
    return [each.abs().sum(dim=(0, 1)) for each in
            torch.autograd.grad(deltas[0, :, 0, 0].square().sum(), used)]


def test_each_cell_sees_the_whole_image_through_the_coarse_features():
    fine, *coarse = reach(build())
    assert fine.nonzero().max() == 1  # one convolution of 3 x 3
    for each in coarse:
        assert each.shape == (32, 32) and each[-4:, -4:].any()
        assert (each > 0).float().mean() > 0.9  # but where ReLU lets nothing through


def test_without_the_mean_it_sees_as_far_as_the_dilations_reach():
    head = build()
    torch.nn.init.zeros_(head.image_mean.weight)
    for each in reach(head)[1:]:
        # fine cell 1 lies between coarse cells 0 and 1, from where it is 1 + 2 cells on
        assert each[0, 0] > 0 and each.nonzero().max() <= 4
    assert max(each.nonzero().max() for each in reach(head)[1:]) > 1


def test_the_context_adds_what_the_convolutions_give():
    """With the convolutions at zero, the coarse features pass as they are, plus their mean."""
    head = build(context_dilations=(1, 2, 4))
    assert [conv.conv.dilation for conv in head.context] == [(1, 1), (2, 2), (4, 4)]
    for conv in head.context:
        torch.nn.init.zeros_(conv.conv.weight)
    inputs = features(8, 12, coarse=1)
    result = head._transform_inputs(inputs)
    coarse = head.compress(torch.cat(inputs[2:], dim=1))
    mean = coarse.sum(dim=(2, 3), keepdim=True) / math.prod(coarse.shape[2:])
    torch.testing.assert_close(result[:, :5], inputs[0])
    torch.testing.assert_close(result[:, 5:], coarse + head.image_mean(mean))


def test_arguments_of_the_parent_count():
    head = build(num_convs=2, first_kernel=1, dilation=2)
    assert isinstance(head, PixelBoxHead)
    assert [conv.conv.kernel_size for conv in head.convs] == [(1, 1), (3, 3)]
    assert head.convs[0].conv.in_channels == 5 + 8


@pytest.mark.parametrize('size', [(7, 8), (8, 9), (9, 9)])
def test_grids_that_do_not_fit_are_refused(size):
    with pytest.raises(InvalidInputError, match=r'cannot be upsampled to .*size_divisor'):
        build()(features(*size))
