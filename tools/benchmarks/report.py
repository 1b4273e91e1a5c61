"""Run the benchmarks, and make docs/benchmarks.md of their figures.

    python tools/benchmarks/report.py                         # the page, from the figures at hand
    python tools/benchmarks/report.py --run                   # all benchmarks first
    python tools/benchmarks/report.py --run startup inference # some of them
    python tools/benchmarks/report.py --run --device cuda     # on a GPU

Figures are JSON files in tools/benchmarks/results, one per benchmark, and a second one with
``-cuda`` for a GPU. If a benchmark fails, the others still run and its old figures stay. peers.py
and peer_accuracy.py need an environment of their own (README.md), whose Python --peers-python
names.
"""
import argparse
import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from support import common

from mmseg_instbox.utils import atomic_write

HERE = Path(__file__).resolve().parent
RESULTS = HERE / 'results'
PAGE = common.ROOT / 'docs' / 'benchmarks.md'
SECTIONS = dict(
    export='Exported models', inference='Inference', training_step='Training step',
    startup='Start-up', scaling='How cost grows', large_image='A large image',
    bulk='Bulk prediction', grouping='Grouping', peers="mmdet's models with ResNet-50",
    peer_accuracy="mmdet's models, trained")
ON_GPU = ('training_step', 'inference', 'peers')
WITH_OPERATORS = ('peers', 'peer_accuracy')
MAX_ROWS = 12  # of a table on the page
INTRO = """# Benchmarks

Time and memory of training and prediction, against mmseg and mmdet. The first table has a figure
of each script; each section has the command and the machine.

Times are medians. What is compared takes turns (a, b, a, b, ...): other load slows each alike. A
ratio is ours over the peer's: the median over the rounds, with its quartiles. Accuracy is in
[results](results.md). `python tools/benchmarks/report.py` makes this page of the JSON files in
`tools/benchmarks/results`, which alone have tables of more than 12 rows; with `--run` it measures
everything again.
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--run', nargs='*', metavar='NAME', choices=list(SECTIONS),
                        help=f'measure first; all of {", ".join(SECTIONS)} by default')
    parser.add_argument('--device', choices=('cpu', 'cuda'), default='cpu')
    parser.add_argument('--peers-python', help="Python of the environment for mmdet's models")
    return parser.parse_args()


def measure(name: str, args: argparse.Namespace) -> bool:
    """Runs a benchmark, its output to the terminal; returns whether it succeeded."""
    python = (name in WITH_OPERATORS and args.peers_python) or sys.executable
    paths = os.pathsep.join([str(common.ROOT), os.environ.get('PYTHONPATH', '')])
    variables = os.environ | dict(PYTHONPATH=paths)
    if args.device == 'cuda':
        out, options = RESULTS / f'{name}-cuda.json', ['--device', 'cuda']
    else:
        out, options = RESULTS / f'{name}.json', []
        variables['CUDA_VISIBLE_DEVICES'] = ''  # by default the scripts take a GPU if there is one
    print(f'\n== {name}', flush=True)
    command = [python, HERE / f'{name}.py', '--out', out, *options]
    return not subprocess.run(command, cwd=common.ROOT, env=variables).returncode


def page(folder: Path) -> str:
    """Makes the page in Markdown of the JSON files in a folder."""
    found = {name: [json.loads(file.read_text()) for suffix in ('', '-cuda')
                    if (file := folder / f'{name}{suffix}.json').is_file()] for name in SECTIONS}
    first = [common.Figure(**each).row() | dict(command=f'`{name}.py`')
             for name, runs in found.items()
             for each in (runs[0]['figures'][:1] if runs else [dict(what=SECTIONS[name])])]
    return '\n'.join([INTRO, common.markdown(first), *('\n'.join(section(name, runs))
                                                       for name, runs in found.items())])


def section(name: str, runs: list[dict]) -> Iterator[str]:
    """Yields what a benchmark found: commands, machines, tables; goals and method are folded."""
    text = ast.get_docstring(ast.parse((HERE / f'{name}.py').read_text()))
    summary, _, method = text.partition('\n\n')
    yield f'## {SECTIONS[name]}\n\n{summary}\n'
    for run in runs:
        yield f'```bash\n{run["command"]}\n```\n'
        yield f'Machine: {run["machine"]}. {run["note"]}'.rstrip() + '\n'
        for title, rows in {'': run['rows'], **run['tables']}.items():
            if 0 < len(rows) <= MAX_ROWS:
                yield (f'**{title}**\n\n' if title else '') + common.markdown(rows)
        figures = [common.Figure(**each).row() for each in run['figures']]
        if goals := [figure for figure in figures if figure['goal']]:
            met = sum(goal['goal'].endswith(', met') for goal in goals)
            yield folded(f'Goals: {met} of {len(goals)} met', common.markdown(goals))
    yield folded('How it is measured', method)


def folded(title: str, text: str) -> str:
    """Makes Markdown that shows its text when a reader opens the title."""
    return f'<details><summary>{title}</summary>\n\n{text.rstrip()}\n\n</details>\n'


def main() -> None:
    args = parse_args()
    names = args.run or [name for name in SECTIONS if args.run is not None
                         and (name not in WITH_OPERATORS or args.peers_python)
                         and (args.device == 'cpu' or name in ON_GPU)]
    failed = [name for name in names if not measure(name, args)]
    atomic_write(page(RESULTS).encode(), PAGE)
    print(f'The page is {PAGE}')
    if failed:
        raise SystemExit(f'These failed and keep their old figures: {", ".join(failed)}')


if __name__ == '__main__':
    main()
