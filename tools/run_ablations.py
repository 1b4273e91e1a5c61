"""Train and evaluate a list of configs one after another and print their figures as a table.

Each run, a config with a seed, has a directory ``WORK_DIR/CONFIG_NAME/seed_SEED``. A run that has
left its metrics.json there is not repeated, and one that was cut off goes on from its last
checkpoint; so the same command continues where it stopped. A run that fails is reported and the
others go on. Prints the mean over the seeds and, with several, the sample standard deviation.
"""
import argparse
import hashlib
import itertools
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from prettytable import PrettyTable

from mmseg_instbox.cli.main import user_errors
from mmseg_instbox.engine import find_config, last_checkpoint, load_config
from mmseg_instbox.errors import InvalidInputError
from mmseg_instbox.utils import write_json

TOOLS = Path(__file__).resolve().parent
METRICS = ('mIoU', 'APr_0.5', 'APr_0.7', 'APr_vol')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('configs', nargs='+', type=Path, help='config files')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/ablations'),
                        help='directory of all runs (default: %(default)s)')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0],
                        help='a run for each (default: 0)')
    parser.add_argument('--processes', type=int, default=1,
                        help='GPUs, or processes on a CPU, of a run (default: 1)')
    parser.add_argument('--metrics', nargs='+', default=METRICS,
                        help='columns of the table; without their prefix (default: %(default)s)')
    parser.add_argument('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE',
                        help='settings that all runs override')
    return parser.parse_args()


def check_names(configs: Sequence[Path]) -> None:
    """Raise MissingFileError for a missing config, InvalidInputError for two of one name."""
    for config in configs:
        find_config(str(config))
    twice = [name for name, count in Counter(config.stem for config in configs).items()
             if count > 1]
    if twice:
        raise InvalidInputError(f'Two configs are named {twice[0]} and would share a directory: '
                                'give each config once, and rename one of two that differ.')


def claim(folder: Path, config: Path, options: Sequence[str]) -> None:
    """Record whose run a directory is; InvalidInputError if it holds one of other settings."""
    text = load_config(str(config)).pretty_text + '\n'.join(options)
    digest = hashlib.sha256(text.encode()).hexdigest()
    record = folder / 'ablation.json'
    if not record.is_file():
        write_json(dict(config=str(config), options=list(options), sha256=digest), record)
    elif json.loads(record.read_text())['sha256'] != digest:
        raise InvalidInputError(f'{folder} holds a run with other settings than {config} and '
                                '--cfg-options have now: remove it to repeat the run, or give '
                                'another --work-dir.')


def call(tool: str, arguments: Sequence[object], processes: int) -> None:
    """Run ``tools/train.py`` or ``tools/test.py``, with the launcher if there are several
    processes; CalledProcessError if it fails."""
    command = [sys.executable, TOOLS / f'{tool}.py', *arguments]
    if processes > 1:
        place = 1 if tool == 'train' else 2
        command = ['bash', TOOLS / f'dist_{tool}.sh', *arguments[:place], processes,
                   *arguments[place:]]
    subprocess.run([str(part) for part in command], check=True,
                   env=dict(os.environ, PYTHON=sys.executable))


def run(config: Path, seed: int, args: argparse.Namespace) -> None:
    """Train and evaluate a config with a seed, unless that was done before."""
    folder = args.work_dir / config.stem / f'seed_{seed}'
    options = ['--cfg-options', f'randomness.seed={seed}', *args.cfg_options]
    claim(folder, config, options)
    if not (folder / 'metrics.json').is_file():
        common = ['--work-dir', folder, *options]
        call('train', [config, '--resume', *common], args.processes)
        call('test', [config, last_checkpoint(folder), *common], args.processes)


def summarise(config: Path, seeds: Sequence[int], args: argparse.Namespace) -> dict:
    """Mean and sample standard deviation of each metric over the runs of a config that are done.

    Metrics count by their names without prefix; InvalidInputError if one is missing.
    """
    files = [args.work_dir / config.stem / f'seed_{seed}' / 'metrics.json' for seed in seeds]
    runs = {file: {name.rsplit('/')[-1]: value
                   for name, value in reversed(json.loads(file.read_text()).items())}
            for file in files if file.is_file()}
    row = dict(config=config.stem, runs=len(runs))
    for metric in args.metrics:
        for file, figures in runs.items():
            if metric not in figures:
                raise InvalidInputError(f'{file} has no {metric!r}; --metrics may name '
                                        f'{", ".join(figures)}.')
        values = [figures[metric] for figures in runs.values()]
        row[metric] = dict(
            mean=float(np.mean(values)) if values else None,
            std=float(np.std(values, ddof=1)) if len(values) > 1 else None)
    return row


def format_rows(rows: Sequence[dict], metrics: Sequence[str]) -> str:
    """A table with a line for each config; the names without what all have in common."""
    names = [row['config'] for row in rows]
    common = os.path.commonprefix(names) if len(names) > 1 else ''
    common = common[:common.rfind('_') + 1] if common not in names else common
    table = PrettyTable(['config', 'runs', *metrics])
    table.title = f'{common}...' if common else None
    table.align['config'] = 'l'
    for row in rows:
        cells = [row['config'][len(common):] or '(base)', row['runs']]
        for mean, std in (row[metric].values() for metric in metrics):
            spread = '' if std is None else f' ± {std:.3f}'
            cells.append('-' if mean is None else f'{mean:.3f}{spread}')
        table.add_row(cells)
    return table.get_string()


def main() -> None:
    args = parse_args()
    failed = []
    with user_errors():
        check_names(args.configs)
        for seed, config in itertools.product(args.seeds, args.configs):
            try:
                run(config, seed, args)
            except subprocess.CalledProcessError as error:
                print(f'{config.stem} with seed {seed} failed ({error.returncode})', flush=True)
                failed.append(f'{config.stem}, seed {seed}')
        rows = [summarise(config, args.seeds, args) for config in args.configs]
    print(format_rows(rows, args.metrics))
    print(f'The figures are in {write_json(rows, args.work_dir / "ablations.json")}')
    if failed:
        sys.exit('These runs failed; their output is above: ' + '; '.join(failed))


if __name__ == '__main__':
    main()
