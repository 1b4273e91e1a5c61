import math

import pytest
import torch
from mmseg.registry import MODELS

from mmseg_instbox.core.feature_grid import sample_at_cells
from mmseg_instbox.models import FCRNHead


def build(**kwargs) -> FCRNHead:
    arguments = dict(
        in_channels=6, channels=6, in_index=0, num_classes=4, dropout_ratio=0) | kwargs
    return MODELS.build(dict(type='FCRNHead', **arguments))


@pytest.mark.parametrize('kernel, dilation', [(3, 12), (5, 12), (3, 1), (5, 6), (1, 1)])
def test_the_classifier_has_the_field_of_view_asked_for(kernel, dilation):
    head = build(classifier_kernel=kernel, classifier_dilation=dilation)
    torch.nn.init.ones_(head.conv_seg.weight)
    feats = torch.ones(1, 6, 61, 61, requires_grad=True)
    out = head([feats])
    assert out.shape == (1, 4, 61, 61)
    out[0, 0, 30, 30].backward()
    seen = feats.grad[0, 0].nonzero()
    reach = kernel // 2 * dilation
    assert len(seen) == kernel**2
    assert seen.min() == 30 - reach and seen.max() == 30 + reach


def test_defaults_are_the_papers():
    head = build()
    assert head.conv_seg.kernel_size == (3, 3) and head.conv_seg.dilation == (12, 12)
    assert isinstance(head.convs, torch.nn.Identity)


def test_one_convolution_stage_before_the_classifier():
    head = build(channels=9, num_convs=1)
    assert len(head.convs) == 1 and head.conv_seg.in_channels == 9
    assert head([torch.rand(1, 6, 5, 5)]).shape == (1, 4, 5, 5)


@pytest.mark.parametrize('grid', [(5, 6), (4, 7)])
def test_the_loss_is_taken_at_the_cells(grid, random_scene, make_sample):
    """Brute force over cells; (40, 48) is divisible by the first grid, not by the second."""
    scenes = [random_scene(40, 48, 5, seed) for seed in (1, 2)]
    logits = torch.randn(2, 4, *grid, requires_grad=True)
    losses = build().loss_by_feat(logits, [make_sample(*scene) for scene in scenes])

    total, correct, valid = 0, 0, 0
    for logit, (seg, _) in zip(logits, scenes, strict=True):
        labels = sample_at_cells(seg, grid)
        for i in range(grid[0]):
            for j in range(grid[1]):
                label = int(labels[i, j])
                if label != 255:
                    total = total - logit[:, i, j].log_softmax(0)[label]
                    correct += int(logit[:, i, j].argmax() == label)
                    valid += 1
    assert 0 < valid < 2 * math.prod(grid)
    expected = total / (2 * math.prod(grid))  # mmseg's mean counts void pixels
    assert torch.allclose(losses['loss_ce'], expected, rtol=1e-5)
    assert losses['acc_seg'].item() == pytest.approx(100 * correct / valid)
    ours, theirs = (torch.autograd.grad(x, logits)[0] for x in (losses['loss_ce'], expected))
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_the_samples_are_left_as_they_were(random_scene, make_sample):
    sample = make_sample(*random_scene(32, 32, 3))
    build().loss_by_feat(torch.randn(1, 4, 4, 4), [sample])
    assert sample.gt_sem_seg.shape == (32, 32)


def test_an_even_kernel_is_refused():
    with pytest.raises(ValueError, match='odd'):
        build(classifier_kernel=4)
