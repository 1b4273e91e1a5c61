"""What the truth in place of each prediction would give, from a dump of tools/test.py --out.

Rows of the table: the prediction itself; true categories; true boxes; both; and both on grids of
other feature strides, the ceiling of what probabilities and boxes on such a grid can express. The
difference between two rows is what a part of the network, or the grid, costs.
"""
from collections.abc import Sequence
from functools import partial
from itertools import product
from pathlib import Path

from mmseg_instbox.cli.dumps import at_least_one, dump_parser, open_dump
from mmseg_instbox.cli.main import user_errors
from mmseg_instbox.errors import InvalidInputError
from mmseg_instbox.evaluation import DumpedSamples
from mmseg_instbox.evaluation.metrics.base_metric import format_table
from mmseg_instbox.evaluation.metrics.inst_box_metric import InstBoxMetric
from mmseg_instbox.evaluation.oracle import use_truth, use_truth_on_grid
from mmseg_instbox.evaluation.replay import Regroup, build_grouper, replay
from mmseg_instbox.utils import write_json


def oracle_table(samples: DumpedSamples, grouper: dict, strides: Sequence[int],
                 workers: int) -> list[dict]:
    """A row of figures for each oracle; no mean IoU where every pixel has its true category."""
    if 0 in samples.thing_ids:
        name = samples.dataset_meta['classes'][0]
        raise InvalidInputError('with true categories void counts as category 0, but that is '
                                f"'{name}', a thing; the oracle needs a data set whose category 0 "
                                'has no instances')
    rows, changes, words = [], [], ('predicted', 'true')
    for boxes, categories in product((False, True), repeat=2):
        rows.append(dict(categories=words[categories], boxes=words[boxes], grid='of the network'))
        changes.append(partial(use_truth, categories=categories, boxes=boxes))
    for stride in strides:
        rows.append(dict(categories='true', boxes='true', grid=f'stride {stride}'))
        changes.append(partial(use_truth_on_grid, stride=stride))
    grouper = build_grouper(grouper)
    variants = [Regroup(grouper, samples.thing_ids, change) for change in changes]
    for row, figures in zip(rows, replay(samples, variants, workers), strict=True):
        row.update(figures)
    rows[1]['mIoU'] = rows[3]['mIoU'] = None
    return rows


def main() -> None:
    parser = dump_parser(__doc__)
    parser.add_argument('--strides', type=at_least_one, nargs='*', default=[4, 8, 16, 32],
                        metavar='PIXELS', help='feature strides of the ceiling, in pixels of the '
                        'original image (default: %(default)s)')
    parser.add_argument('--out', type=Path, help='JSON file (default: oracle.json in the dump)')
    args = parser.parse_args()
    with user_errors():
        samples, grouper = open_dump(args, args.out)
        rows = oracle_table(samples, grouper, args.strides, args.workers)
    print(format_table(rows, ('categories', 'boxes', 'grid', *InstBoxMetric.figures), digits=3))
    content = dict(config=args.config, dump=str(args.dump), num_images=len(samples),
                   grouper=grouper, rows=rows)
    file = write_json(content, args.out or args.dump / 'oracle.json')
    print(f'The figures of {len(samples)} images are in {file}')


if __name__ == '__main__':
    main()
