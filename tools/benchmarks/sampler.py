"""Compare the bootstrapped cross entropy with mmseg's, forward and backward.

Three ways to train on hard pixels alone, on the same random logits and labels, in turn, so that a
busy machine slows all of them down: mmseg's cross entropy with its OHEMPixelSampler, the same with
BootstrapPixelSampler, and BootstrapCrossEntropyLoss. The logits are such that the given share of
the pixels is hard (its true class has a probability of at most t). Prints the median milliseconds
of each and how many times faster it is than mmseg's, and writes JSON.
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

from mmseg_instbox.models import BootstrapCrossEntropyLoss, BootstrapPixelSampler

VOID = 255


class Context(nn.Module):
    """What a sampler reads of the head that owns it."""
    ignore_index = VOID

    def __init__(self) -> None:
        super().__init__()
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # that its mean counts void pixels, as is wanted here
            self.loss_decode = CrossEntropyLoss()


def parse_args() -> argparse.Namespace:
    parser = common.make_parser(__doc__, 'sampler', repeats=5, threads=1)
    parser.add_argument('--shape', type=common.positive, nargs=4, default=(4, 21, 512, 512),
                        metavar='SIZE',
                        help='images, categories, height, width (default: %(default)s)')
    parser.add_argument('--thresh', type=float, default=0.6, help='t (default: %(default)s)')
    parser.add_argument('--min-kept', type=int, default=512,
                        help='K, pixels of an image (default: %(default)s)')
    parser.add_argument('--hard', type=float, nargs='+', default=(0.5, 0.1, 0.0), metavar='SHARE',
                        help='shares of hard pixels (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0)
    args = common.parse(parser)
    if args.shape[1] < 2:
        parser.error('--shape needs at least 2 categories')
    if not all(0 <= share <= 1 for share in args.hard):
        parser.error('--hard must be shares between 0 and 1')
    return args


def make_batch(shape: tuple[int, int, int, int], thresh: float, hard: float,
               device: str) -> tuple[Tensor, Tensor]:
    """Logits that ask for a gradient, and labels, a tenth of the rows void.

    Args:
        shape: ``(N, C, H, W)``.
        thresh: Probability of the true class up to which a pixel is hard.
        hard: Share of the hard pixels.
        device: Where the batch lies.
    """
    logits = torch.randn(shape, device=device) * 2
    label = torch.randint(shape[1], (shape[0], *shape[2:]), device=device)
    others = logits.scatter(1, label[:, None], -torch.inf).logsumexp(dim=1)
    is_hard = torch.rand(label.shape, device=device) < hard
    # the logit at which the true class has just the probability t, and one nat to either side
    bound = others + np.log(thresh / (1 - thresh))
    logits.scatter_(1, label[:, None], torch.where(is_hard, bound - 1, bound + 1)[:, None])
    label[:, :shape[2] // 10] = VOID
    return logits.requires_grad_(), label


def contestants(thresh: float, min_kept: int) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    """Loss functions of logits and labels by name, mmseg's first."""
    context = Context()
    loss = BootstrapCrossEntropyLoss(thresh=thresh, min_kept=min_kept)

    def sampled(sampler: object) -> Callable[[Tensor, Tensor], Tensor]:
        return lambda logits, label: context.loss_decode(
            logits, label, weight=sampler.sample(logits, label[:, None]), ignore_index=VOID)

    return {
        'OHEMPixelSampler': sampled(OHEMPixelSampler(context, thresh, min_kept)),
        'BootstrapPixelSampler': sampled(BootstrapPixelSampler(context, thresh, min_kept)),
        'BootstrapCrossEntropyLoss': lambda logits, label: loss(logits, label, ignore_index=VOID),
    }


def benchmark(args: argparse.Namespace, hard: float) -> list[dict]:
    """A row for each contestant, from runs that take turns."""
    logits, label = make_batch(tuple(args.shape), args.thresh, hard, args.device)

    def run(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
        logits.grad = None
        loss(logits, label).backward()

    calls = {name: partial(run, loss)
             for name, loss in contestants(args.thresh, args.min_kept).items()}
    times = common.alternate(calls, args.repeats, args.device, warm_up=1)
    medians = {name: common.median(values) for name, values in times.items()}
    first = next(iter(medians.values()))
    return [dict(loss=name, hard=hard, ms=ms, times_faster=first / ms)
            for name, ms in medians.items()]


def main() -> None:
    args = parse_args()
    torch.manual_seed(args.seed)
    rows = [row for hard in args.hard for row in benchmark(args, hard)]
    common.finish('sampler', args, rows, figure='ms')


if __name__ == '__main__':
    main()
