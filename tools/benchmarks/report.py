"""Run the benchmarks, and make docs/benchmarks.md of their figures.

    python tools/benchmarks/report.py                         # the page, from the figures at hand
    python tools/benchmarks/report.py --run                   # all benchmarks first
    python tools/benchmarks/report.py --run startup inference # some of them
    python tools/benchmarks/report.py --run --device cuda     # on a GPU, whose column they fill

Figures are JSON files in tools/benchmarks/results, one a benchmark, and another one with ``-cuda``
for a GPU. A benchmark that fails is named, the others run on, and its old figures stay. peers.py
and peer_accuracy.py need an environment of their own, whose Python --peers-python names; the help
of peers.py says how to make it.
"""
import argparse
import ast
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import common

from mmseg_instbox.utils import atomic_write

HERE = Path(__file__).resolve().parent
RESULTS = HERE / 'results'
PAGE = common.ROOT / 'docs' / 'benchmarks.md'
# what runs, in this order, and with what arguments; those that load the machine longest are last
SPEED = dict(
    startup='Start-up', training_step='Training step', inference='Inference',
    data_loading='Data loading', sampler='Bootstrapping', grouping='Grouping',
    evaluation='Evaluation', large_image='A large picture', export='Exported models',
    scaling='How cost grows', bulk='Bulk inference', peers="mmdet's models",
    peer_accuracy="mmdet's models, trained")
ARGUMENTS: dict[str, tuple[str, ...]] = dict(
    scaling=('--plot', 'docs/images/scaling.png'))
ON_GPU = ('training_step', 'inference', 'sampler', 'peers')
WITH_OPERATORS = ('peers', 'peer_accuracy')
INTRO = """# Benchmarks

Made by `python tools/benchmarks/report.py` from `tools/benchmarks/results/*.json`; with `--run` it
measures everything again. Times are medians. Comparisons are runs that take turns (a, b, a, b, ...)
in one process, so that what else the machine does slows all of them; a ratio is the median over the
rounds, with its quartiles. Peak memory is that of a fresh process each. Where no GPU was at hand
its column says "not run".
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--run', nargs='*', metavar='NAME',
                        help=f'measure first; all of {", ".join(SPEED)} by default')
    parser.add_argument('--device', choices=('cpu', 'cuda'), default='cpu')
    parser.add_argument('--peers-python', help="Python of the environment for mmdet's models")
    parser.add_argument('--results', type=Path, default=RESULTS, help='folder of the JSON files')
    parser.add_argument('--page', type=Path, default=PAGE, help='(default: docs/benchmarks.md)')
    args = parser.parse_args()
    unknown = sorted(set(args.run or ()) - set(SPEED))
    if unknown:
        parser.error(f'--run: no benchmarks {unknown}; there are {", ".join(SPEED)}')
    return args


def chosen(args: argparse.Namespace) -> list[str]:
    """The benchmarks to run; of all, those whose script, environment and device are there."""
    if args.run:
        return args.run
    return [name for name in SPEED if (HERE / f'{name}.py').is_file()
            and (name not in WITH_OPERATORS or args.peers_python)
            and (args.device == 'cpu' or name in ON_GPU)]


def run(name: str, args: argparse.Namespace) -> bool:
    """Run a benchmark, its output to the terminal; whether it succeeded."""
    python = (name in WITH_OPERATORS and args.peers_python) or sys.executable
    file = results_file(args.results, name, args.device)
    command = [python, str(HERE / f'{name}.py'), *ARGUMENTS.get(name, ()), '--out', str(file)]
    if args.device != 'cpu':
        command += ['--device', args.device]
    print(f'\n== {name}', flush=True)
    begin = time.perf_counter()
    done = subprocess.run(command, cwd=common.ROOT, env=common.environment())
    print(f'{name}: {"done" if not done.returncode else "FAILED"} after '
          f'{time.perf_counter() - begin:.0f} s', flush=True)
    return not done.returncode


def results_file(folder: Path, name: str, device: str) -> Path:
    """Where the figures of a benchmark lie."""
    return folder / (f'{name}.json' if device == 'cpu' else f'{name}-{device}.json')


def read(folder: Path, name: str, device: str = 'cpu') -> dict | None:
    """The figures of a benchmark, or None."""
    file = results_file(folder, name, device)
    return json.loads(file.read_text()) if file.is_file() else None


def page(folder: Path) -> str:
    """The page in Markdown."""
    found = {name: read(folder, name) for name in SPEED}
    on_gpu = {name: read(folder, name, 'cuda') for name in SPEED}
    sections = [section(name, found[name], on_gpu[name]) for name in SPEED]
    return '\n'.join([INTRO, '## Goals\n', goals(found, on_gpu), *sections])


def goals(found: dict[str, dict | None], on_gpu: dict[str, dict | None]) -> str:
    """A table of all goals and what was measured."""
    rows = []
    for name, figures in found.items():
        others = {goal['figure']: goal for goal in (on_gpu[name] or {}).get('goals', ())}
        for entry in (figures or {}).get('goals', ()):
            goal, other = common.Goal(**entry), others.get(entry['figure'])
            met = {True: 'yes', False: '**no**', None: 'not run'}[goal.met()]
            rows.append({
                'figure': goal.figure, 'goal': f'{goal.sense} {common.show(goal.limit)}{goal.unit}',
                'measured': f'{common.show(goal.value)}{goal.unit}', 'met': met,
                'GPU': f'{common.show(other["value"])}{goal.unit}' if other else 'not run'})
    return markdown(rows) if rows else 'Nothing was measured yet.\n'


def section(name: str, figures: dict | None, gpu: dict | None) -> str:
    """What a benchmark says: how it measures, its command, its machine, its tables."""
    lines = [f'## {SPEED[name]}\n', f'{describe(name)}\n']
    if figures is None:
        return '\n'.join([*lines, f'`python tools/benchmarks/{name}.py`: not run.\n'])
    lines += [f'```bash\n{figures["command"]}\n```\n',
              f'Machine: {figures["machine"]}.\n']
    lines += [f'GPU: {gpu["machine"]}.\n'] if gpu else []
    lines += [f'{figures["note"]}\n'] if figures.get('note') else []
    lines.append(markdown(with_gpu(figures, gpu)))
    for title, rows in figures.get('tables', {}).items():
        lines += [f'**{title}**\n', markdown(rows)]
    return '\n'.join(lines)


def describe(name: str) -> str:
    """The docstring of a script up to its example; indented code is code in Markdown, too."""
    text = ast.get_docstring(ast.parse((HERE / f'{name}.py').read_text())) or ''
    return text.split('\n\nExample')[0]


def with_gpu(figures: dict, gpu: dict | None) -> list[dict]:
    """The rows with the main figure on a GPU beside it, where the benchmark has a main figure."""
    key = figures.get('figure')
    if key is None:
        return figures['rows']
    others = {identity(row): row.get(key) for row in (gpu or {}).get('rows', ())}
    return [row | {f'GPU_{key}': others.get(identity(row), 'not run')} for row in figures['rows']]


def identity(row: dict) -> tuple:
    """What tells a row from others: its strings, those of measured spread aside."""
    return tuple((key, value) for key, value in row.items()
                 if isinstance(value, str) and key not in ('quartiles', 'share'))


def markdown(rows: Sequence[dict]) -> str:
    """The rows as a table."""
    return '\n'.join(_lines(rows)) + '\n'


def _lines(rows: Sequence[dict]) -> Iterator[str]:
    keys = common.titles(rows)
    yield f'| {" | ".join(key.replace("_", " ") for key in keys)} |'
    yield f'|{" --- |" * len(keys)}'
    for row in rows:
        cells = [common.show(row.get(key)).replace('|', '\\|') for key in keys]
        yield f'| {" | ".join(cells)} |'


def main() -> None:
    args = parse_args()
    args.results.mkdir(parents=True, exist_ok=True)
    failed = [name for name in chosen(args) if not run(name, args)] if args.run is not None else []
    atomic_write(page(args.results).encode(), args.page)
    print(f'The page is {args.page}')
    if failed:
        raise SystemExit(f'These failed and keep their old figures: {", ".join(failed)}')


if __name__ == '__main__':
    main()
