"""Bootstrapping against its definition, written with plain loops over pixels."""
import math

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.structures import PixelData
from mmseg.models.decode_heads import FCNHead
from mmseg.models.losses import CrossEntropyLoss
from mmseg.registry import TASK_UTILS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmseg_instbox.models import BootstrapPixelSampler, FCRNHead

SETTINGS = [
    dict(thresh=0.3, min_kept=1),  # the threshold decides
    dict(thresh=0.02, min_kept=20),  # the K hardest decide
    dict(thresh=0.3, min_kept=10**6),  # K is more than there are
    dict(thresh=0.1, min_kept=0.4),  # K is a share
    dict(thresh=0.1, min_kept=1.0),
    dict(thresh=None, min_kept=7),
    dict(thresh=None, min_kept=0.25),
    dict(thresh=1.0, min_kept=0),
]


def kept_losses(losses: list[Tensor], min_kept: int | float,
                min_loss: float | None) -> list[Tensor]:
    """Those at least ``min_loss``, and never fewer than the hardest K with all that tie with it."""
    k = math.ceil(min_kept * len(losses)) if isinstance(min_kept, float) else min_kept
    k = min(k, len(losses))
    kept = [x for x in losses if min_loss is not None and x.item() >= min_loss]
    if len(kept) < k:
        bound = sorted((x.item() for x in losses), reverse=True)[k - 1]
        kept = [x for x in losses if x.item() >= bound]
    return kept


def mean_of_kept(images: list[list[Tensor]], scope: str, min_kept, min_loss) -> Tensor:
    """The mean over the images of each image's mean over its kept pixels; or over all pooled."""
    groups = images if scope == 'image' else [sum(images, [])]
    total = torch.zeros(())
    for group in groups:
        kept = kept_losses(group, min_kept, min_loss)
        if kept:
            total = total + sum(kept) / len(kept) / len(groups)
    return total


def slow_category_loss(logits: Tensor, labels: Tensor, thresh, min_kept, scope='image') -> Tensor:
    """The bootstrapped cross entropy of (N, C, H, W) logits and (N, H, W) labels."""
    images = []
    for logit, label in zip(logits, labels, strict=True):
        images.append([
            logit[:, y, x].logsumexp(0) - logit[label[y, x], y, x]
            for y in range(label.shape[0]) for x in range(label.shape[1]) if label[y, x] != 255
        ])
    return mean_of_kept(images, scope, min_kept, None if thresh is None else -math.log(thresh))


def random_batch(num: int = 3, size: tuple[int, int] = (6, 7)) -> tuple[Tensor, Tensor]:
    """Logits of five categories and labels; the second image is void, the first has some void."""
    logits = (torch.randn(num, 5, *size) * 2).requires_grad_()
    labels = torch.randint(0, 5, (num, *size))
    labels[0, :2, :3] = 255
    labels[1] = 255
    return logits, labels


class Context(nn.Module):
    """What a sampler sees of the head that owns it."""
    ignore_index = 255

    def __init__(self, **loss) -> None:
        super().__init__()
        self.loss_decode = CrossEntropyLoss(**loss)


def assert_same(value: Tensor, expected: Tensor, leaf: Tensor) -> None:
    """Equal values and equal gradients with respect to ``leaf``."""
    assert torch.allclose(value, expected, rtol=1e-4, atol=1e-6)
    grads = [torch.autograd.grad(x, leaf, retain_graph=True)[0] for x in (value, expected)]
    assert torch.allclose(*grads, rtol=1e-3, atol=1e-7)
    assert grads[0].abs().sum() > 0


@pytest.mark.parametrize('avg_non_ignore', [False, True])
@pytest.mark.parametrize('scope', ['image', 'batch'])
@pytest.mark.parametrize('setting', SETTINGS)
def test_mmsegs_cross_entropy_becomes_the_bootstrapped_loss(setting, scope, avg_non_ignore):
    context = Context(avg_non_ignore=avg_non_ignore)
    sampler = BootstrapPixelSampler(context, scope=scope, **setting)
    logits, labels = random_batch()
    weights = sampler.sample(logits, labels[:, None])
    assert weights.shape == labels.shape and not weights.requires_grad
    value = context.loss_decode(logits, labels, weight=weights, ignore_index=255)
    assert_same(value, slow_category_loss(logits, labels, scope=scope, **setting), logits)


@pytest.mark.parametrize('avg_non_ignore', [False, True])
@pytest.mark.parametrize('scope', ['image', 'batch'])
def test_a_batch_of_void_has_loss_and_gradient_zero(scope, avg_non_ignore):
    context = Context(avg_non_ignore=avg_non_ignore)
    logits, labels = random_batch()
    labels[:] = 255
    weights = BootstrapPixelSampler(context, scope=scope).sample(logits, labels[:, None])
    value = context.loss_decode(logits, labels, weight=weights, ignore_index=255)
    value.backward()
    assert value == 0 and logits.grad.abs().sum() == 0


def head_config(**kwargs) -> dict:
    return dict(
        in_channels=4, channels=4, num_convs=0, concat_input=False, num_classes=5, dropout_ratio=0,
        in_index=0, **kwargs)


@pytest.mark.parametrize('avg_non_ignore', [False, True])
def test_through_fcrn_head(avg_non_ignore):
    head = FCRNHead(
        sampler=dict(type='BootstrapPixelSampler', thresh=0.3, min_kept=9),
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=avg_non_ignore, loss_weight=3.0),
        **head_config())
    logits, labels = random_batch()
    samples = [SegDataSample(gt_sem_seg=PixelData(data=label[None])) for label in labels]
    value = head.loss_by_feat(logits, samples)['loss_ce']
    assert_same(value, 3 * slow_category_loss(logits, labels, 0.3, 9), logits)


def test_through_a_stock_head_of_mmseg():
    head = FCNHead(
        sampler=dict(type='BootstrapPixelSampler', thresh=0.3, min_kept=9), **head_config())
    logits, labels = random_batch(size=(4, 6))
    samples = [SegDataSample(gt_sem_seg=PixelData(data=x[None])) for x in labels.repeat(1, 2, 2)]
    value = head.loss_by_feat(logits, samples)['loss_ce']
    large = nn.functional.interpolate(logits, scale_factor=2, mode='bilinear')
    assert_same(value, slow_category_loss(large, labels.repeat(1, 2, 2), 0.3, 9), logits)


@pytest.mark.parametrize('scope', ['image', 'batch'])
@pytest.mark.parametrize('min_loss, min_kept', [
    (None, 5), (None, 0.5), (0.9, 3), (0.9, 25), (0.0, 0)])
def test_pixel_losses(min_loss, min_kept, scope):
    sampler = BootstrapPixelSampler(min_kept=min_kept, min_loss=min_loss, scope=scope)
    loss = torch.rand(3, 5, 6, requires_grad=True)
    valid = torch.rand(3, 5, 6) < 0.7
    valid[2] = False
    value = (loss * sampler.sample_loss(loss, valid)).mean()
    images = [[pixel for pixel in image[inside]] for image, inside in zip(loss, valid, strict=True)]
    assert_same(value, mean_of_kept(images, scope, min_kept, min_loss), loss)


def test_pixels_that_tie_with_the_kth_are_all_kept():
    loss = torch.tensor([[[3., 1, 2, 2, 0, 2]]])
    weights = BootstrapPixelSampler(min_kept=2).sample_loss(loss, torch.ones_like(loss, dtype=bool))
    assert weights.tolist() == [[[1.5, 0, 1.5, 1.5, 0, 1.5]]]


def test_golden_weights():
    probability = torch.tensor([0.9, 0.5, 0.6, 0.2])
    logits = torch.stack([probability.log(), (1 - probability).log()])[None, :, None]
    labels = torch.tensor([0, 0, 255, 0])[None, None, None]
    weights = BootstrapPixelSampler(thresh=0.55, min_kept=1).sample(logits, labels)
    assert weights.tolist() == [[[0, 2, 0, 2]]]


def test_mmseg_builds_it_by_name():
    sampler = TASK_UTILS.build(dict(type='BootstrapPixelSampler'))
    assert (sampler.thresh, sampler.min_kept, sampler.scope) == (0.6, 512, 'image')


@pytest.mark.parametrize('loss', [
    dict(class_weight=[1., 2, 1, 1, 1]),
    dict(use_sigmoid=True),
    dict(use_mask=True),
    dict(reduction='sum'),
])
def test_losses_that_weights_cannot_make_right_are_refused(loss):
    logits, labels = random_batch()
    with pytest.raises(ValueError, match=next(iter(loss))):
        BootstrapPixelSampler(Context(**loss)).sample(logits, labels[:, None])


def test_losses_that_average_differently_are_refused():
    context = Context()
    context.loss_decode = nn.ModuleList([CrossEntropyLoss(), CrossEntropyLoss(avg_non_ignore=True)])
    logits, labels = random_batch()
    with pytest.raises(ValueError, match='avg_non_ignore'):
        BootstrapPixelSampler(context).sample(logits, labels[:, None])


@pytest.mark.parametrize('arguments', [
    dict(thresh=0.0), dict(thresh=1.5), dict(min_kept=-1), dict(min_kept=1.5), dict(scope='gpu')])
def test_numbers_out_of_range_are_refused(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        BootstrapPixelSampler(**arguments)


@pytest.fixture
def hub() -> MessageHub:
    """The message hub of the current run, as without a run before and afterwards."""
    hub = MessageHub.get_current_instance()
    hub.runtime_info.pop('iter', None)
    yield hub
    hub.runtime_info.pop('iter', None)


@pytest.mark.parametrize('iteration, kept', [(0, 100), (25, 80), (50, 60), (75, 40), (100, 20),
                                             (5000, 20)])
def test_k_shrinks_from_all_pixels_in_the_warm_up(hub, iteration, kept):
    hub.update_info('iter', iteration)
    loss, valid = torch.rand(2, 11, 10), torch.ones(2, 11, 10, dtype=torch.bool)
    valid[:, 0] = False  # 100 are left
    sampler = BootstrapPixelSampler(min_kept=20, warmup_iters=100)
    assert (sampler.sample_loss(loss, valid) > 0).sum(dim=(1, 2)).tolist() == [kept, kept]
    share = BootstrapPixelSampler(min_kept=0.2, warmup_iters=100)
    assert (share.category_weights(loss / 1e3, valid) > 0).sum(dim=(1, 2)).tolist() == [kept, kept]


def test_the_threshold_may_keep_more_in_the_warm_up(hub):
    hub.update_info('iter', 5)
    loss = torch.tensor([[[3., 2, 1, 0.5, 0]]])
    sampler = BootstrapPixelSampler(min_kept=1, min_loss=0.5, warmup_iters=10)  # K is 3 here
    assert (sampler.sample_loss(loss, loss > -1) > 0).tolist() == [[[True] * 4 + [False]]]


def test_a_warm_up_that_nobody_counts_is_refused(hub):
    loss = torch.rand(1, 2, 2)
    with pytest.raises(ValueError, match='warmup_iters needs'):
        BootstrapPixelSampler(warmup_iters=10).sample_loss(loss, loss > -1)
