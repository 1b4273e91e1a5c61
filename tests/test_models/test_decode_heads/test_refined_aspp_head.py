import pytest
import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.models.decode_heads import ASPPHead
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmseg_instbox.core.feature_grid import upsample_corner_aligned
from mmseg_instbox.errors import InvalidInputError
from mmseg_instbox.models import RefinedASPPHead

ASPP = dict(in_channels=12, in_index=3, channels=8, num_classes=5, dropout_ratio=0,
            align_corners=False)


def build(**kwargs) -> RefinedASPPHead:
    arguments = ASPP | dict(
        dilations=(1, ), fine_in_channels=(6, 7), fine_channels=4, norm_cfg=None) | kwargs
    return MODELS.build(dict(type='RefinedASPPHead', **arguments)).eval()


@pytest.fixture
def features() -> list[Tensor]:
    """Of a backbone for an image of 64 x 96 pixels: strides 4, 8, 16 and 16."""
    return [torch.randn(2, channels, 64 // stride, 96 // stride)
            for channels, stride in ((6, 4), (7, 8), (9, 16), (12, 16))]


@torch.no_grad()
@pytest.mark.parametrize('again', [False, True])
@pytest.mark.parametrize('dilations', [(1, ), (1, 2)])
def test_at_first_the_logits_are_those_of_mmsegs_head(features, dilations, again):
    """Its batch normalisation is folded, its logits are upsampled, and nothing is added."""
    theirs = ASPPHead(dilations=dilations, norm_cfg=dict(type='BN'), **ASPP).eval()
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.1, 0.5)
    ours = build(dilations=dilations, bottleneck_kernel=3)
    if again:
        nn.init.normal_(ours.correction[-1].weight)
        ours.init_weights()
    missing, left_over = ours.load_state_dict(theirs.state_dict(), strict=False)
    assert not left_over and all(key.startswith(('compress.', 'correction.')) for key in missing)
    expected = theirs(features)
    torch.testing.assert_close(ours(features), upsample_corner_aligned(expected, (16, 24)))
    assert expected.std() > 1e-2


def test_the_correction_reads_all_features_and_learns(features):
    head = build()
    head(features).square().sum().backward()
    assert head.correction[-1].weight.grad.abs().sum() > 0
    nn.init.normal_(head.correction[-1].weight)
    inputs = [each.requires_grad_() for each in features]
    before = head(inputs)
    gradients = torch.autograd.grad(before.square().sum(), inputs, allow_unused=True)
    assert [grad is not None and bool(grad.abs().sum() > 0) for grad in gradients] == [
        True, True, False, True]


def test_the_result_has_the_finest_grid_in_use(features):
    assert build()(features).shape == (2, 5, 16, 24)
    assert build(fine_in_channels=(7, ), fine_in_index=(1, ))(features).shape == (2, 5, 8, 12)


def test_the_convolution_after_the_pyramid():
    assert build().bottleneck.conv.weight.shape == (8, 16, 1, 1)
    assert build(bottleneck_kernel=3).bottleneck.conv.weight.shape == (8, 16, 3, 3)


def test_labels_are_sampled_at_the_cells(features):
    """Cells of one label each, 4 pixels wide, with void around them and in their middle."""
    cells = torch.randint(0, 5, (2, 1, 16, 24))
    cells[0, 0, 3:5] = 255
    maps = torch.full((2, 1, 64, 96), 255)
    for y in (1, 2):
        for x in (1, 2):
            maps[:, :, y::4, x::4] = cells
    samples = [SegDataSample(gt_sem_seg=PixelData(data=each)) for each in maps]
    head = build()
    logits = head(features)
    losses = head.loss_by_feat(logits, samples)
    expected = F.cross_entropy(logits, cells[:, 0], ignore_index=255, reduction='none').mean()
    torch.testing.assert_close(losses['loss_ce'], expected)


def test_grids_that_do_not_fit_are_refused(features):
    features[0] = features[0][:, :, 1:]
    with pytest.raises(InvalidInputError, match='size_divisor'):
        build()(features)
