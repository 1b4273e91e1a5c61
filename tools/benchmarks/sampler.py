"""Bootstrapped cross entropy against mmseg's, forward and backward.

Three ways to train on hard pixels only take turns on the same random logits and labels: mmseg's
cross entropy with its OHEMPixelSampler, the same with BootstrapPixelSampler, and
BootstrapCrossEntropyLoss. The logits are such that a given share of the pixels is hard: their true
category has a probability of at most t.
"""
import argparse
import warnings
from collections.abc import Callable
from functools import partial

import common
import numpy as np
import torch
from mmseg.models.losses import CrossEntropyLoss
from mmseg.structures.sampler import OHEMPixelSampler
from torch import Tensor, nn

from mmseg_instbox.core import VOID
from mmseg_instbox.models import BootstrapCrossEntropyLoss, BootstrapPixelSampler

THRESH, MIN_KEPT = 0.6, 512  # t, and K in pixels of an image


class Context(nn.Module):
    """What a sampler reads of the head that owns it."""
    ignore_index = VOID

    def __init__(self) -> None:
        super().__init__()
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # its mean counts void pixels, as intended here
            self.loss_decode = CrossEntropyLoss()


def parse_args() -> argparse.Namespace:
    parser = common.make_parser(__doc__, 'sampler', repeats=5, threads=1)
    parser.add_argument('--shape', type=common.positive, nargs=4, default=(4, 21, 512, 512),
                        metavar=('N', 'C', 'H', 'W'), help='of the logits (default: %(default)s)')
    parser.add_argument('--hard', type=float, nargs='+', default=(0.5, 0.1, 0.0), metavar='SHARE',
                        help='shares of hard pixels (default: %(default)s)')
    return common.parse(parser, quick=dict(shape=(2, 5, 32, 40)))


def make_batch(shape: tuple[int, int, int, int], hard: float, device: str
               ) -> tuple[Tensor, Tensor]:
    """Makes logits (N, C, H, W) that need a gradient, and labels (N, H, W), a tenth of them void.

    ``hard`` is the share of the hard pixels.
    """
    logits = torch.randn(shape, device=device) * 2
    label = torch.randint(shape[1], (shape[0], *shape[2:]), device=device)
    others = logits.scatter(1, label[:, None], -torch.inf).logsumexp(dim=1)
    is_hard = torch.rand(label.shape, device=device) < hard
    # the logit at which the true category has probability t, one nat less or more
    bound = others + np.log(THRESH / (1 - THRESH))
    logits.scatter_(1, label[:, None], torch.where(is_hard, bound - 1, bound + 1)[:, None])
    label[:, :shape[2] // 10] = VOID
    return logits.requires_grad_(), label


def contestants() -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    """Returns loss functions of logits and labels by name, mmseg's first."""
    context = Context()
    loss = BootstrapCrossEntropyLoss(thresh=THRESH, min_kept=MIN_KEPT)

    def sampled(sampler: type) -> Callable[[Tensor, Tensor], Tensor]:
        sampler = sampler(context, THRESH, MIN_KEPT)
        return lambda logits, label: context.loss_decode(
            logits, label, weight=sampler.sample(logits, label[:, None]), ignore_index=VOID)

    return {
        'OHEMPixelSampler': sampled(OHEMPixelSampler),
        'BootstrapPixelSampler': sampled(BootstrapPixelSampler),
        'BootstrapCrossEntropyLoss': lambda logits, label: loss(logits, label, ignore_index=VOID),
    }


def measure(args: argparse.Namespace, hard: float) -> list[dict]:
    """Makes a row for each loss."""
    logits, label = make_batch(tuple(args.shape), hard, args.device)

    def run(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
        logits.grad = None
        loss(logits, label).backward()

    calls = {name: partial(run, loss) for name, loss in contestants().items()}
    times = common.alternate(calls, args.repeats, args.device, warm_up=1)
    return [dict(row, hard=hard) for row in common.compare(times, 'loss', 'times_faster')]


def main() -> None:
    args = parse_args()
    torch.manual_seed(0)
    rows = [row for hard in args.hard for row in measure(args, hard)]
    common.finish('sampler', args, rows, figure='ms')


if __name__ == '__main__':
    main()
