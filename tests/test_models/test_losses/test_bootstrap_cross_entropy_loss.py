"""The one-pass loss against mmseg's cross entropy with the sampler, which has brute-force tests."""
import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.structures import PixelData
from mmseg.models.decode_heads import FCNHead
from mmseg.models.losses import CrossEntropyLoss
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmseg_instbox.models import BootstrapCrossEntropyLoss, BootstrapPixelSampler


class Context(nn.Module):
    """What a sampler sees of the head that owns it."""
    ignore_index = 255

    def __init__(self) -> None:
        super().__init__()
        self.loss_decode = CrossEntropyLoss()


def random_batch(void: bool = True) -> tuple[Tensor, Tensor]:
    """Logits of five categories and labels; the second image is void, the first has some void."""
    logits = (torch.randn(3, 5, 12, 14) * 2).requires_grad_()
    labels = torch.randint(0, 5, (3, 12, 14))
    if void:
        labels[0, :2, :3] = 255
        labels[1] = 255
    return logits, labels


def two_pass(logits: Tensor, labels: Tensor, **setting) -> Tensor:
    """mmseg's loss, weighted by the sampler."""
    context = Context()
    weights = BootstrapPixelSampler(context, **setting).sample(logits, labels[:, None])
    return context.loss_decode(logits, labels, weight=weights, ignore_index=255)


@pytest.mark.parametrize('scope', ['image', 'batch'])
@pytest.mark.parametrize('setting', [
    dict(thresh=0.3, min_kept=1), dict(thresh=0.02, min_kept=4), dict(thresh=None, min_kept=3),
    dict(thresh=0.1, min_kept=0.4), dict(thresh=0.9, min_kept=10**6), dict(thresh=1.0, min_kept=0),
])
@pytest.mark.parametrize('void', [False, True])
def test_value_and_gradient_are_those_of_the_sampler(setting, scope, void):
    """Few kept pixels and many take different ways back; both occur here."""
    logits, labels = random_batch(void)
    loss = MODELS.build(
        dict(type='BootstrapCrossEntropyLoss', loss_weight=3.0, scope=scope, **setting))
    value = loss(logits, labels, ignore_index=255)
    expected = 3 * two_pass(logits, labels, scope=scope, **setting)
    assert torch.allclose(value, expected, rtol=1e-5)
    ours, theirs = (torch.autograd.grad(x, logits)[0] for x in (value, expected))
    assert theirs.abs().sum() > 0
    assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize('min_kept', [2, 1.0])
def test_gradient_is_the_numerical_one(min_kept):
    logits = torch.randn(2, 4, 6, 6, dtype=torch.float64)
    labels = torch.randint(0, 4, (2, 6, 6))
    loss = BootstrapCrossEntropyLoss(thresh=None, min_kept=min_kept)
    logits = logits.float().requires_grad_()
    loss(logits, labels).backward()
    step, direction = 1e-2, torch.randn(2, 4, 6, 6)
    with torch.no_grad():
        ahead, behind = (loss(logits + sign * step * direction, labels) for sign in (1, -1))
    assert ((ahead - behind) / (2 * step)).item() == pytest.approx(
        (logits.grad * direction).sum().item(), rel=2e-2)


def test_a_batch_of_void_has_loss_and_gradient_zero():
    logits, labels = random_batch()
    labels[:] = 255
    value = BootstrapCrossEntropyLoss()(logits, labels, ignore_index=255)
    value.backward()
    assert value == 0 and logits.grad.abs().sum() == 0


def test_in_a_stock_head_of_mmseg():
    head = FCNHead(
        in_channels=4, channels=4, num_convs=0, concat_input=False, num_classes=5, dropout_ratio=0,
        in_index=0, loss_decode=dict(type='BootstrapCrossEntropyLoss', thresh=0.3, min_kept=9))
    logits, labels = random_batch()
    samples = [SegDataSample(gt_sem_seg=PixelData(data=label[None])) for label in labels]
    losses = head.loss_by_feat(logits, samples)
    assert torch.allclose(losses['loss_ce'], two_pass(logits, labels, thresh=0.3, min_kept=9))


def test_half_precision_logits():
    logits, labels = random_batch()
    half = logits.detach().bfloat16().requires_grad_()
    value = BootstrapCrossEntropyLoss(thresh=0.3, min_kept=9)(half, labels, ignore_index=255)
    value.backward()
    exact = BootstrapCrossEntropyLoss(thresh=0.3, min_kept=9)(
        half.detach().float(), labels, ignore_index=255)
    assert torch.equal(value, exact) and half.grad.dtype == torch.bfloat16


def test_warm_up_begins_with_all_pixels():
    hub = MessageHub.get_current_instance()
    hub.update_info('iter', 0)
    logits, labels = random_batch(void=False)
    warm = BootstrapCrossEntropyLoss(
        thresh=None, min_kept=3, warmup_iters=10)(logits, labels)
    hub.runtime_info.pop('iter')
    assert torch.allclose(warm, nn.functional.cross_entropy(logits, labels))


def test_weights_of_a_sampler_are_refused():
    logits, labels = random_batch()
    with pytest.raises(ValueError, match='no sampler'):
        BootstrapCrossEntropyLoss()(logits, labels, weight=torch.ones(3, 12, 14))
