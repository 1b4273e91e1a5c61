"""Sweep the parameters of a grouper over a dump of tools/test.py --out; no network is run.

    python tools/analysis_tools/regroup.py CONFIG DUMP --grid min_gain=0.1,0.2 merge_iou=0.5,0.6

groups and evaluates every image with every combination of the values, on top of the grouper as
the config has it. Prints the settings by falling AP^r_0.5, and the best by AP^r_0.5 and by AP^r_vol
as lines for a config. Choose on other images than those that you report.
"""
import argparse
import inspect
import itertools
import random
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import DictAction
from mmseg.registry import TASK_UTILS

from mmseg_instbox.cli.dumps import dump_parser, open_dump
from mmseg_instbox.cli.main import user_errors
from mmseg_instbox.core.base_grouper import BaseGrouper
from mmseg_instbox.errors import InvalidInputError
from mmseg_instbox.evaluation import DumpedSamples
from mmseg_instbox.evaluation.metrics.base_metric import format_table
from mmseg_instbox.evaluation.replay import Regroup, build_grouper, replay
from mmseg_instbox.utils import write_json

FIGURES = ('APr_0.5', 'APr_0.6', 'APr_0.7', 'APr_0.8', 'APr_0.9', 'APr_vol')
CHOICES = ('APr_0.5', 'APr_vol')
MAX_ROWS = 30


def parse_args() -> argparse.Namespace:
    parser = dump_parser(__doc__)
    parser.add_argument('--grid', nargs='+', action=DictAction, default={}, metavar='NAME=A,B,...',
                        help="values of the grouper's parameters; all combinations are tried")
    parser.add_argument('--grouper', metavar='TYPE',
                        help="a grouper of TASK_UTILS as it comes (default: the config's)")
    parser.add_argument('--random', type=int, metavar='M',
                        help='try M of the combinations, drawn at random')
    parser.add_argument('--seed', type=int, default=0, help='of --random (default: %(default)s)')
    parser.add_argument('--out', type=Path, help='JSON file (default: regroup.json in the dump)')
    args = parser.parse_args()
    if args.random is not None and args.random < 1:
        parser.error(f'--random must be at least 1, got {args.random}')
    return args


def choose_grouper(configured: dict, name: str | None) -> dict:
    """The grouper that the grid changes: the configured one, or another as it comes.

    Raises:
        ValueError: There is no such grouper.
    """
    grouper = configured if name in (None, configured['type']) else dict(type=name)
    if not _is_grouper(TASK_UTILS.get(grouper['type'])):
        known = sorted(key for key, cls in TASK_UTILS.module_dict.items() if _is_grouper(cls))
        raise InvalidInputError(f'{grouper["type"]} is no grouper in TASK_UTILS; there are {known}')
    return grouper


def _is_grouper(cls: object) -> bool:
    return inspect.isclass(cls) and issubclass(cls, BaseGrouper)


def parameters(grouper_type: str) -> dict[str, object]:
    """What a grouper's constructor and its parents' take, with the defaults.

    A parameter without a default has ``inspect.Parameter.empty``.
    """
    classes = reversed(TASK_UTILS.get(grouper_type).__mro__)
    return {each.name: each.default for cls in filter(_is_grouper, classes)
            for each in inspect.signature(cls).parameters.values()
            if each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)}


def complete(grouper: dict) -> dict:
    """A grouper config with the defaults of its parameters filled in."""
    defaults = parameters(grouper['type']).items()
    known = {name: value for name, value in defaults if value is not inspect.Parameter.empty}
    return {**known, **grouper}


def expand_grid(grid: dict, grouper_type: str) -> list[dict]:
    """Every combination of the values of a grid, the last parameter changing fastest.

    Raises:
        ValueError: A parameter is none of the grouper's.
    """
    known = parameters(grouper_type)
    unknown = sorted(set(grid) - set(known))
    if unknown:
        raise InvalidInputError(f'--grid: {grouper_type} has no parameter {", ".join(unknown)}; it '
                                f'has {", ".join(known) or "none"}')
    values = [each if isinstance(each, list) else [each] for each in grid.values()]
    if not all(values):
        raise InvalidInputError(f'--grid: {grid} has a parameter without a value')
    return [dict(zip(grid, each, strict=True)) for each in itertools.product(*values)]


def choose_settings(settings: list[dict], number: int | None, seed: int) -> list[dict]:
    """At most ``number`` of the settings, in their order, always the same ones for a seed."""
    if number is None or number >= len(settings):
        return settings
    chosen = random.Random(seed).sample(range(len(settings)), number)
    return [settings[index] for index in sorted(chosen)]


def sweep(samples: DumpedSamples, groupers: Sequence[dict], workers: int) -> list[dict]:
    """``InstBoxMetric``'s figures of each grouper config."""
    variants = [Regroup(build_grouper(grouper), samples.thing_ids) for grouper in groupers]
    return replay(samples, variants, workers)


def config_lines(grouper: dict, configured: dict) -> str:
    """A grouper as lines for a config that inherits the one that was given."""
    replace = dict(_delete_=True) if grouper['type'] != configured['type'] else {}
    items = ', '.join(f'{key}={value!r}' for key, value in {**replace, **grouper}.items())
    return f'model = dict(grouper=dict({items}))'


def report(rows: list[dict], names: Sequence[str], configured: dict) -> None:
    """Print a table, the best AP^r_0.5 first, the config's own figures and the best settings."""
    ranked = sorted(rows, key=lambda row: -row['figures']['APr_0.5'])[:MAX_ROWS]
    settings = [{name: str(complete(row['grouper']).get(name, '-')) for name in names}
                for row in ranked]
    lines = [setting | row['figures'] for setting, row in zip(settings, ranked, strict=True)]
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
    args = parse_args()
    with user_errors():
        samples, configured = open_dump(args, args.out)
        base = choose_grouper(configured, args.grouper)
        settings = choose_settings(expand_grid(args.grid, base['type']), args.random, args.seed)
        groupers = [base | setting for setting in settings]
        if complete(configured) not in map(complete, groupers):
            groupers.append(configured)
        figures = sweep(samples, groupers, args.workers)
    rows = [dict(grouper=grouper, figures=its)
            for grouper, its in zip(groupers, figures, strict=True)]
    report(rows, list(args.grid) or ['type'], configured)
    content = dict(config=args.config, dump=str(args.dump), num_images=len(samples),
                   configured=configured, rows=rows)
    file = write_json(content, args.out or args.dump / 'regroup.json')
    print(f'The figures of {len(rows)} settings on {len(samples)} images are in {file}')


if __name__ == '__main__':
    main()
