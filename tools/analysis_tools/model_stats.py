"""Parameters, FLOPs and memory of models, and the box head's share of them.

Each model is built from its config, in a process of its own, without weights, and sees one image of
random pixels on the CPU, on one thread. What is measured is what a prediction runs before grouping:
backbone, neck, decode head and, where there is one, the box head; auxiliary heads are left out. A
multiplication with its addition counts as one FLOP; operations that MMEngine has no count for
(activations, sums, pooling, the decoding of boxes) do not count; the JSON file lists them, but for
activations. Memory is by how much the process grows from before the model is built to the peak of
its first pass, parameters included, as Linux tells it; elsewhere there is none.
"""
import argparse
from pathlib import Path

import torch

from mmseg_instbox.cli.scripts.arguments import user_errors
from mmseg_instbox.cli.scripts.model_stats import format_rows, measure_apart
from mmseg_instbox.utils import write_json


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('configs', nargs='+', metavar='CONFIG',
                        help='config files, or configs of a package such as mmseg::fcn/NAME.py')
    parser.add_argument('--shape', type=int, nargs=2, default=(512, 512), metavar=('H', 'W'),
                        help='height and width of the image (default: %(default)s)')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/model_stats.json'),
                        help='JSON file with the figures (default: %(default)s)')
    args = parser.parse_args()
    if min(args.shape) < 1:
        parser.error(f'--shape must be at least 1 pixel, got {args.shape}')
    return args


def main() -> None:
    args = parse_args()
    rows = []
    with user_errors():
        for config in args.configs:
            rows.append(measure_apart(config, args.shape))
            print(f'{config}: done', flush=True)
    print(format_rows(rows))
    content = dict(shape=list(args.shape), torch=torch.__version__, rows=rows)
    print(f'The figures are in {write_json(content, args.out)}')


if __name__ == '__main__':
    main()
