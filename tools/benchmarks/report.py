"""Run the benchmarks, and make docs/benchmarks.md of their figures.

    python tools/benchmarks/report.py                         # the page, from the figures at hand
    python tools/benchmarks/report.py --run                   # all benchmarks first
    python tools/benchmarks/report.py --run startup inference # some of them
    python tools/benchmarks/report.py --run --device cuda     # on a GPU

Figures are JSON files in tools/benchmarks/results, one per benchmark, and a second one with
``-cuda`` for a GPU. If a benchmark fails, the others still run and its old figures stay. peers.py
and peer_accuracy.py need an environment of their own, whose Python --peers-python names; the help
of peers.py says how to make it.
"""
import argparse
import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import common

from mmseg_instbox.utils import atomic_write

HERE = Path(__file__).resolve().parent
RESULTS = HERE / 'results'
PAGE = common.ROOT / 'docs' / 'benchmarks.md'
SECTIONS = dict(
    startup='Start-up', training_step='Training step', inference='Inference',
    sampler='Bootstrapping', grouping='Grouping',
    evaluation='Evaluation', large_image='A large image', export='Exported models',
    scaling='How cost grows', bulk='Bulk prediction', peers="mmdet's models",
    peer_accuracy="mmdet's models, trained")
ON_GPU = ('training_step', 'inference', 'sampler', 'peers')
WITH_OPERATORS = ('peers', 'peer_accuracy')
INTRO = """# Benchmarks

Made by `python tools/benchmarks/report.py` from `tools/benchmarks/results/*.json`; with `--run` it
measures everything again. Times are medians. Comparisons are runs that take turns (a, b, a, b, ...)
in one process, so that other load slows all of them; a ratio is the median over the rounds, with
its quartiles. Peak memory is that of a fresh process. What was not measured is "not run".
"""


class Line(NamedTuple):
    """A line of the first table: one figure in two rows of a benchmark.

    ``ours`` and ``peer`` are values that only that row has. ``ratio`` is a column of the peer's row
    if its name has "ours", else of our row, or '' for the ratio of the two figures.
    """
    what: str
    benchmark: str
    ours: tuple[Any, ...]
    peer: tuple[Any, ...] = ()
    key: str = 'ms'
    unit: str = ' ms'
    ratio: str = 'ours_over_it'
    inverse: bool = False  # whether that ratio is the peer's over ours
    table: str = ''  # title, '' for the main table


PLAIN = ("plain: eager by mmseg's inference_model", )
FASTER = dict(key='whole_ms', ratio='whole_times_faster_than_plain', inverse=True)
FCN = (('mobilenet-v2-d16', 'ours'), ('mobilenet-v2-d16', 'FCN'))
DENSE = dict(benchmark='scaling', ours=('4096 px', ), table='dense images')
MASK_RCNN = (('ours', ), ('Mask R-CNN, MobileNetV2-FPN', ))
LINES = (
    Line("file to instances; peer: mmseg's `inference_model` with the same weights", 'export',
         ('eager', ), PLAIN, **FASTER),
    Line('the same, exported to ONNX', 'export', ('onnx', ), PLAIN, **FASTER),
    Line("prepared image to instances; peer: category network alone with mmseg's category map",
         'inference', ('ours: category map, boxes and instances', ),
         ('category network, category map as mmseg', )),
    Line("training step, MobileNetV2 at stride 16; peer: mmseg's FCN", 'training_step', *FCN),
    Line('its peak memory', 'training_step', *FCN, 'peak_MiB', ' MiB', 'peak_ours_over_it'),
    Line('`instbox predict`, two images; peer: `import torch, mmseg.models`', 'startup',
         ('instbox predict', ), ('import torch, mmseg.models', ), ratio='over_the_import'),
    Line('masks of a dense image, 4,096 px, 480 objects', key='masks_ms', **DENSE),
    Line('their memory', key='masks_mib', unit=' MiB', **DENSE),
    Line('bulk prediction, Ray with 2 workers; peer: one process', 'bulk',
         ('Ray, 2 workers of a thread each', ), ('one process, 2 threads', ), 'images_a_second',
         ' images/s', 'ratio'),
    Line('file to instances, R50 at stride 16; peer: CondInst, R50', 'peers',
         ('ours, R50 at stride 16', ), ('CondInst, R50-FPN', )),
    Line('AP50 on `val_official`; peer: Mask R-CNN, MobileNetV2, trained alike', 'peer_accuracy',
         *MASK_RCNN, 'val_official_AP50', '', ''),
    Line('file to instances of the two', 'peer_accuracy', *MASK_RCNN, ratio='over_ours',
         inverse=True),
)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--run', nargs='*', metavar='NAME', choices=list(SECTIONS),
                        help=f'measure first; all of {", ".join(SECTIONS)} by default')
    parser.add_argument('--device', choices=('cpu', 'cuda'), default='cpu')
    parser.add_argument('--peers-python', help="Python of the environment for mmdet's models")
    parser.add_argument('--results', type=Path, default=RESULTS, help='folder of the JSON files')
    parser.add_argument('--page', type=Path, default=PAGE, help='(default: docs/benchmarks.md)')
    return parser.parse_args()


def run(name: str, args: argparse.Namespace) -> bool:
    """Runs a benchmark, its output to the terminal; returns whether it succeeded."""
    python = (name in WITH_OPERATORS and args.peers_python) or sys.executable
    suffix = '' if args.device == 'cpu' else f'-{args.device}'
    command = [python, str(HERE / f'{name}.py'), '--out',
               str(args.results / f'{name}{suffix}.json'),
               *(('--device', args.device) if suffix else ())]
    print(f'\n== {name}', flush=True)
    return not subprocess.run(command, cwd=common.ROOT, env=common.environment()).returncode


def page(folder: Path) -> str:
    """Makes the page in Markdown of the JSON files in a folder."""
    found = {name: [json.loads(file.read_text()) for suffix in ('', '-cuda')
                    if (file := folder / f'{name}{suffix}.json').is_file()] for name in SECTIONS}
    first = common.markdown([first_table(line, found[line.benchmark]) for line in LINES])
    return '\n'.join([INTRO, first, *('\n'.join(section(name, runs))
                                     for name, runs in found.items())])


def first_table(line: Line, runs: list[dict]) -> dict[str, Any]:
    """Makes a row of the first table."""
    rows = (runs[0]['tables'][line.table] if line.table else runs[0]['rows']) if runs else []
    ours, peer = (next((row for row in rows if values and set(values) <= set(row.values())), {})
                  for values in (line.ours, line.peer))
    figures = [row.get(line.key) for row in (ours, peer)]
    ratio = (peer if 'ours' in line.ratio else ours).get(line.ratio) if peer else None
    if not line.ratio and None not in figures:
        ratio = figures[0] / figures[1]
    cells = ['not run' if figure is None else f'{common.show(figure)}{line.unit}'
             for figure in figures]
    return dict(what=line.what, ours=cells[0], peer=cells[1] if line.peer else '-',
                ratio=1 / ratio if ratio and line.inverse else ratio,
                command=f'`{line.benchmark}.py`')


def section(name: str, runs: list[dict]) -> Iterator[str]:
    """Yields what a benchmark says: how it measures, commands, machines, tables and goals."""
    text = ast.get_docstring(ast.parse((HERE / f'{name}.py').read_text()))
    yield f'## {SECTIONS[name]}\n\n{text}\n'
    if not runs:
        yield f'`python tools/benchmarks/{name}.py`: not run.\n'
    for figures in runs:
        yield f'```bash\n{figures["command"]}\n```\n'
        yield f'Machine: {figures["machine"]}. {figures["note"]}'.rstrip() + '\n'
        yield common.markdown(figures['rows'])
        for title, rows in figures['tables'].items():
            yield f'**{title}**\n\n{common.markdown(rows)}'
        if figures['goals']:
            yield ''.join(f'- {common.Goal(**goal)}\n' for goal in figures['goals'])


def main() -> None:
    args = parse_args()
    args.results.mkdir(parents=True, exist_ok=True)
    names = args.run or [name for name in SECTIONS if args.run is not None
                         and (name not in WITH_OPERATORS or args.peers_python)
                         and (args.device == 'cpu' or name in ON_GPU)]
    failed = [name for name in names if not run(name, args)]
    atomic_write(page(args.results).encode(), args.page)
    print(f'The page is {args.page}')
    if failed:
        raise SystemExit(f'These failed and keep their old figures: {", ".join(failed)}')


if __name__ == '__main__':
    main()
