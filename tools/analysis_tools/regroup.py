"""Sweep the parameters of a grouper over a dump of tools/test.py --out; no network is run.

    python tools/analysis_tools/regroup.py CONFIG DUMP --grid min_gain=0.1,0.2 merge_iou=0.5,0.6

groups and evaluates every image with every combination of the values, on top of the grouper as
the config has it. Prints the settings by falling AP^r_0.5, and the best by AP^r_0.5 and by AP^r_vol
as lines for a config. Choose on other images than those that you report.
"""
import random
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from mmengine.config import DictAction

from mmseg_instbox.cli.dumps import at_least_one, dump_parser, open_dump
from mmseg_instbox.cli.main import user_errors
from mmseg_instbox.evaluation.metrics.base_metric import format_table
from mmseg_instbox.evaluation.replay import Regroup, build_grouper, replay
from mmseg_instbox.utils import write_json

FIGURES = ('APr_0.5', 'APr_0.6', 'APr_0.7', 'APr_0.8', 'APr_0.9', 'APr_vol')
CHOICES = ('APr_0.5', 'APr_vol')
MAX_ROWS = 30


def choose_grouper(configured: dict, name: str | None) -> dict:
    """The grouper that the grid changes: the configured one, or another as it comes."""
    return configured if name in (None, configured['type']) else dict(type=name)


def complete(grouper: dict) -> dict:
    """A grouper config with all parameters that the grouper keeps; ValueError if it has others."""
    return vars(build_grouper(grouper)) | grouper


def expand_grid(grid: dict) -> list[dict]:
    """Every combination of the values of a grid, the last parameter changing fastest."""
    values = [each if isinstance(each, list) else [each] for each in grid.values()]
    return [dict(zip(grid, each, strict=True)) for each in product(*values)]


def choose_settings(settings: list[dict], number: int | None, seed: int) -> list[dict]:
    """At most ``number`` of the settings, in their order, always the same ones for a seed."""
    if number is None or number >= len(settings):
        return settings
    chosen = random.Random(seed).sample(range(len(settings)), number)
    return [settings[index] for index in sorted(chosen)]


def config_lines(grouper: dict, configured: dict) -> str:
    """A grouper as lines for a config that inherits the one that was given."""
    replace = dict(_delete_=True) if grouper['type'] != configured['type'] else {}
    items = ', '.join(f'{key}={value!r}' for key, value in {**replace, **grouper}.items())
    return f'model = dict(grouper=dict({items}))'


def report(rows: list[dict], names: Sequence[str], configured: dict) -> None:
    """Print a table, the best AP^r_0.5 first, the config's own figures and the best settings."""
    ranked = sorted(rows, key=lambda row: -row['figures']['APr_0.5'])[:MAX_ROWS]
    lines = [row['figures'] | {name: str(complete(row['grouper']).get(name, '-')) for name in names}
             for row in ranked]
    print(format_table(lines, (*names, *FIGURES), digits=3))
    if len(rows) > MAX_ROWS:
        print(f'... and {len(rows) - MAX_ROWS} more')
    for row in rows:
        if complete(row['grouper']) == complete(configured):
            print('as configured: ' + _figures(row))
    for key in CHOICES:
        best = max(rows, key=lambda row: row['figures'][key])
        print(f'best by {key}: {_figures(best)}\n    {config_lines(best["grouper"], configured)}')


def _figures(row: dict) -> str:
    return ', '.join(f'{key} {row["figures"][key]:.4f}' for key in CHOICES)


def main() -> None:
    parser = dump_parser(__doc__)
    parser.add_argument('--grid', nargs='+', action=DictAction, default={}, metavar='NAME=A,B,...',
                        help="values of the grouper's parameters; all combinations are tried")
    parser.add_argument('--grouper', metavar='TYPE',
                        help="a grouper of TASK_UTILS as it comes (default: the config's)")
    parser.add_argument('--random', type=at_least_one, metavar='M',
                        help='try M of the combinations, drawn at random')
    parser.add_argument('--seed', type=int, default=0, help='of --random (default: %(default)s)')
    parser.add_argument('--out', type=Path, help='JSON file (default: regroup.json in the dump)')
    args = parser.parse_args()
    with user_errors():
        samples, configured = open_dump(args, args.out)
        base = choose_grouper(configured, args.grouper)
        settings = choose_settings(expand_grid(args.grid), args.random, args.seed)
        groupers = [base | setting for setting in settings]
        if complete(configured) not in map(complete, groupers):
            groupers.append(configured)
        variants = [Regroup(build_grouper(each), samples.thing_ids) for each in groupers]
        figures = replay(samples, variants, args.workers)
    rows = [dict(grouper=grouper, figures=its)
            for grouper, its in zip(groupers, figures, strict=True)]
    report(rows, list(args.grid) or ['type'], configured)
    content = dict(config=args.config, dump=str(args.dump), num_images=len(samples),
                   configured=configured, rows=rows)
    file = write_json(content, args.out or args.dump / 'regroup.json')
    print(f'The figures of {len(rows)} settings on {len(samples)} images are in {file}')


if __name__ == '__main__':
    main()
