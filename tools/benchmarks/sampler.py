"""Compare the bootstrapped cross entropy with mmseg's, forward and backward.

Three ways to train on hard pixels alone, on the same random logits and labels, in turn, so that a
busy machine slows all of them down: mmseg's cross entropy with its OHEMPixelSampler, the same with
BootstrapPixelSampler, and BootstrapCrossEntropyLoss. The logits are such that the given share of
the pixels is hard (its true class has a probability of at most t). Prints the median milliseconds
of each and how many times faster it is than mmseg's, and writes JSON.
"""
import argparse
import platform
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import common
import numpy as np
import torch
from mmseg.models.losses import CrossEntropyLoss
from mmseg.structures.sampler import OHEMPixelSampler
from torch import Tensor, nn

from mmseg_instbox.models import BootstrapCrossEntropyLoss, BootstrapPixelSampler
from mmseg_instbox.utils import write_json

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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--shape', type=int, nargs=4, default=(4, 21, 512, 512), metavar='SIZE',
                        help='images, categories, height, width (default: %(default)s)')
    parser.add_argument('--thresh', type=float, default=0.6, help='t (default: %(default)s)')
    parser.add_argument('--min-kept', type=int, default=512,
                        help='K, pixels of an image (default: %(default)s)')
    parser.add_argument('--hard', type=float, nargs='+', default=(0.5, 0.1, 0.0), metavar='SHARE',
                        help='shares of hard pixels (default: %(default)s)')
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--out', type=Path, default=Path('work_dirs/benchmarks/sampler.json'),
                        help='JSON file with the figures (default: %(default)s)')
    args = parser.parse_args()
    if min(*args.shape, args.repeats, args.threads) < 1 or args.shape[1] < 2:
        parser.error('--shape, --repeats and --threads must be at least 1, and 2 categories')
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


def run(loss: Callable[[Tensor, Tensor], Tensor], logits: Tensor, label: Tensor) -> float:
    """Milliseconds of one forward and backward pass."""
    logits.grad = None
    _synchronise(logits)
    begin = time.perf_counter()
    loss(logits, label).backward()
    _synchronise(logits)
    return (time.perf_counter() - begin) * 1e3


def _synchronise(tensor: Tensor) -> None:
    if tensor.is_cuda:
        torch.cuda.synchronize()


def benchmark(args: argparse.Namespace, hard: float) -> list[dict]:
    """A row for each contestant, from runs that take turns."""
    batch = make_batch(tuple(args.shape), args.thresh, hard, args.device)
    losses = contestants(args.thresh, args.min_kept)
    for loss in losses.values():
        run(loss, *batch)
    times = [[run(loss, *batch) for loss in losses.values()] for _ in range(args.repeats)]
    medians = np.median(times, axis=0)
    return [dict(loss=name, hard=hard, ms=median, times_faster=medians[0] / median)
            for name, median in zip(losses, medians, strict=True)]


def machine(device: str) -> str:
    """The machine of the measurement in a line."""
    name = torch.cuda.get_device_name() if device.startswith('cuda') else platform.processor()
    return f'{name or platform.machine()}, {torch.get_num_threads()} threads, torch ' \
        f'{torch.__version__}'


def main() -> None:
    args = parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    print(f'{" x ".join(map(str, args.shape))}, median of {args.repeats} runs on '
          f'{machine(args.device)}')
    rows = []
    for hard in args.hard:
        for row in benchmark(args, hard):
            rows.append(row)
            print(f'{hard:4.0%} hard  {row["loss"]:26} {row["ms"]:7.1f} ms  '
                  f'{row["times_faster"]:.2f} times as fast')
    settings = {key: value for key, value in vars(args).items() if key != 'out'}
    settings['machine'] = machine(args.device)
    head = common.header('sampler', args.device)
    file = write_json(dict(**head, settings=settings, rows=rows, figure='ms'), args.out)
    print(f'The figures are in {file}')


if __name__ == '__main__':
    main()
