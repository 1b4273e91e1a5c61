"""Print parameters, FLOPs and memory of models, and the box head's share of them, as a table."""
import argparse
from pathlib import Path

import torch

from mmseg_instbox.cli.scripts import model_stats
from mmseg_instbox.cli.scripts.arguments import user_errors
from mmseg_instbox.utils import write_json


def main() -> None:
    parser = argparse.ArgumentParser(
        description=model_stats.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('configs', nargs='+', metavar='CONFIG',
                        help='config files, or configs of a package such as mmseg::fcn/NAME.py')
    parser.add_argument('--shape', type=int, nargs=2, default=(512, 512), metavar=('H', 'W'),
                        help='height and width of the image (default: %(default)s)')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/model_stats.json'),
                        help='JSON file with the figures, and the operations that were not counted '
                        '(default: %(default)s)')
    args = parser.parse_args()
    if min(args.shape) < 1:
        parser.error(f'--shape must be at least 1 pixel, got {args.shape}')
    rows = []
    with user_errors():
        for config in args.configs:
            rows.append(model_stats.measure_apart(config, args.shape))
            print(f'{config}: done', flush=True)
    print(model_stats.format_rows(rows))
    content = dict(shape=list(args.shape), torch=torch.__version__, rows=rows)
    print(f'The figures are in {write_json(content, args.out)}')


if __name__ == '__main__':
    main()
