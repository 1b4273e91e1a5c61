"""What the benchmark scripts share: options, runs that take turns, peak memory, tables and JSON.

A script next to this one starts with ``import common`` and has this shape::

    parser = common.make_parser(__doc__, 'name')       # --out, --threads, --device, --repeats
    args = common.parse(parser, quick=dict(images=2))  # --quick: these are then the defaults
    times = common.alternate({'ours': ours, 'theirs': theirs}, args.repeats, args.device)
    rows = common.compare(times, 'model', 'ours_over_it')
    common.finish('name', args, rows, figure='ms',
                  goals=[common.Goal('ours over theirs', 'at most', 0.8, rows[1]['ours_over_it'])])

The keys of a row are the titles of a table's columns, with ``_`` for a space.
"""
import argparse
import os
import platform
import resource
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from mmseg_instbox.utils import write_json

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / 'demo' / 'samples'
MIB = 2**20
DEMO = 'instbox_deeplabv3-mobilenet-v2-d16_1xb8-5k_voc-plus-416x416'  # the model in demo/
MODEL = f'Model: `{DEMO}`, the one in `demo/`.'


class Ratio(NamedTuple):
    """Median and quartiles of the ratios of runs in the same round."""
    median: float
    low: float
    high: float


class Goal(NamedTuple):
    """A figure and its goal; ``sense`` is 'at most', 'at least' or 'under'.

    ``value`` is the measured figure, None if it was not measured.
    """
    figure: str
    sense: str
    limit: float
    value: float | None
    unit: str = ''

    def met(self) -> bool | None:
        """Returns whether the goal is met, None if the figure was not measured."""
        if self.value is None:
            return None
        if self.sense == 'at least':
            return self.value >= self.limit
        return self.value < self.limit if self.sense == 'under' else self.value <= self.limit

    def __str__(self) -> str:
        outcome = {True: 'met', False: 'not met', None: 'not run'}[self.met()]
        return (f'{self.figure}: {show(self.value)}{self.unit}; goal {self.sense} '
                f'{show(self.limit)}{self.unit}, {outcome}')


def make_parser(doc: str, name: str, repeats: int | None = 9, threads: int | None = None,
                device: bool = True) -> argparse.ArgumentParser:
    """Makes a parser with the options that benchmarks share; ``doc`` is its help.

    ``repeats`` and ``threads`` are defaults, None for a benchmark without ``--repeats`` and for two
    threads; without ``device`` the benchmark runs on the CPU.
    """
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, default=Path(f'work_dirs/benchmarks/{name}.json'),
                        help='JSON file for the figures (default: %(default)s)')
    parser.add_argument('--threads', type=positive,
                        default=threads or min(2, os.cpu_count() or 1),
                        help='threads of torch (default: %(default)s)')
    parser.set_defaults(device='cpu')
    if device:
        parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu',
                            help='default: %(default)s')
    if repeats:
        parser.add_argument('--repeats', type=positive, default=repeats,
                            help='rounds, in each of which every contestant runs once '
                                 '(default: %(default)s)')
    return parser


def positive(text: str) -> int:
    """Parses a whole number from 1 on, as a ``type`` of argparse."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f'{text} is not at least 1')
    return value


def parse(parser: argparse.ArgumentParser, arguments: Sequence[str] | None = None,
          quick: Mapping[str, Any] | None = None) -> argparse.Namespace:
    """Parses the command line, with ``quick`` as defaults if it has ``--quick``; sets threads."""
    if quick is not None:
        parser.add_argument('--quick', action='store_true',
                            help='smallest possible run, to check that the script works')
    args = parser.parse_args(arguments)
    if quick is not None and args.quick:
        parser.set_defaults(**dict(threads=1, repeats=1) | dict(quick))
        args = parser.parse_args(arguments)
    if args.device.startswith('cuda') and not torch.cuda.is_available():
        parser.error(f'--device {args.device}: torch sees no GPU here')
    torch.set_num_threads(args.threads)
    return args


def machine(device: str = 'cpu') -> str:
    """Describes the machine in a line: GPU, processor, memory, threads and versions."""
    parts, info = [], Path('/proc/cpuinfo')
    if device.startswith('cuda'):
        parts.append(torch.cuda.get_device_name(device))
    if info.is_file():
        parts += [line.split(':', 1)[1].strip() for line in info.read_text().splitlines()
                  if line.startswith('model name')][:1]
    memory = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
    parts += [f'{os.cpu_count()} cores', f'{memory / 2**30:.0f} GiB of memory']
    return ', '.join([*parts, f'{torch.get_num_threads()} threads',
                      f'Python {platform.python_version()}', f'torch {torch.__version__}'])


def median(values: Sequence[float]) -> float:
    """Returns the median as a float."""
    return float(statistics.median(values))


def ratio(of: Sequence[float], over: Sequence[float]) -> Ratio:
    """Returns the ratio of two contestants, from the runs of each round of :func:`alternate`."""
    ratios = [a / b for a, b in zip(of, over, strict=True)]
    if len(ratios) == 1:
        return Ratio(*ratios * 3)
    low, middle, high = statistics.quantiles(ratios, n=4, method='inclusive')
    return Ratio(middle, low, high)


def compare(times: Mapping[str, Sequence[float]], title: str, name: str,
            over_first: bool = False) -> list[dict[str, Any]]:
    """Makes a row for each contestant of :func:`alternate`, with the ratio of the first one to it.

    ``title`` and ``name`` are the columns of contestant and ratio; with ``over_first`` the ratio is
    the contestant's over the first one's.
    """
    first, rows = next(iter(times.values())), []
    for contestant, values in times.items():
        found = ratio(values, first) if over_first else ratio(first, values)
        rows.append({title: contestant, 'ms': median(values), name: found.median,
                     'quartiles': f'{found.low:.2f} to {found.high:.2f}'})
    return rows


def milliseconds(work: Callable[[], Any], device: str = 'cpu') -> float:
    """Returns the milliseconds of a call; on a GPU until all its work is done."""
    wait = torch.cuda.synchronize if device.startswith('cuda') else lambda: None
    wait()
    begin = time.perf_counter()
    work()
    wait()
    return (time.perf_counter() - begin) * 1e3


def alternate(contestants: Mapping[str, Callable[[], Any]], repeats: int, device: str = 'cpu',
              warm_up: int = 2) -> dict[str, list[float]]:
    """Times contestants in turn (a, b, a, b, ...), so that other load slows all of them.

    Returns the milliseconds of each in ``repeats`` rounds, which follow ``warm_up`` others.
    """
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(warm_up + repeats):
        for name, work in contestants.items():
            elapsed = milliseconds(work, device)
            if turn >= warm_up:
                times[name].append(elapsed)
    return times


def alternate_over(items: Sequence[Any], ways: Mapping[str, Callable[[Any], Any]], repeats: int,
                   device: str = 'cpu') -> dict[str, list[float]]:
    """Times functions of an item in turn, as :func:`alternate`, for one item after another."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for item in items:
        calls = {name: partial(way, item) for name, way in ways.items()}
        for name, values in alternate(calls, repeats, device, warm_up=1).items():
            times[name] += values
    return times


def peak_memory(device: str = 'cpu') -> float:
    """Returns the most memory in MiB that this process has held, on a GPU that of its tensors."""
    if device.startswith('cuda'):
        return torch.cuda.max_memory_allocated() / MIB
    status = Path('/proc/self/status')  # ru_maxrss also counts the process that started this one
    if status.is_file():
        return int(status.read_text().split('VmHWM:')[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB  # bytes on macOS


def run_script(script: str | Path, *arguments: object,
               variables: Mapping[str, str] | None = None) -> str:
    """Runs Python with these arguments in a fresh process and returns what it prints.

    Raises:
        RuntimeError: The process failed; with the end of its output.
    """
    command = [sys.executable, str(script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(variables))
    if done.returncode:
        raise RuntimeError(f'{shlex.join(command)} failed with exit code {done.returncode}:\n'
                           f'{(done.stdout + done.stderr)[-2000:]}')
    return done.stdout


def environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """Returns environment variables of a process that finds this package, and others."""
    paths = [str(ROOT), *filter(None, [os.environ.get('PYTHONPATH')])]
    return dict(os.environ, PYTHONPATH=os.pathsep.join(paths)) | dict(variables or {})


def show(value: Any) -> str:
    """Formats a cell of a table: three digits of a number, a dash for None."""
    if value is None:
        return '-'
    if isinstance(value, float):
        size = abs(value)
        places = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 or size == 0 else 3
        return f'{value:.{places}f}' if size >= 0.1 or size == 0 else f'{value:.3g}'
    return str(value)


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Formats rows as a Markdown table; columns are in the order of their first appearance."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    lines = [[key.replace('_', ' ') for key in keys], ['---'] * len(keys)]
    lines += [[show(row.get(key)).replace('|', '\\|') for key in keys] for row in rows]
    return ''.join(f'| {" | ".join(cells)} |\n' for cells in lines)


def finish(name: str, args: argparse.Namespace, rows: Sequence[Mapping[str, Any]], *,
           figure: str | None = None, goals: Sequence[Goal] = (), note: str = '',
           tables: Mapping[str, Sequence[Mapping[str, Any]]] | None = None) -> Path:
    """Prints the tables and writes the JSON file that ``report.py`` reads.

    Args:
        name: The benchmark's name.
        args: Parsed arguments; all but ``out`` are the settings.
        rows: The main table.
        figure: Key of the rows' main figure.
        goals: Figures with a goal.
        note: Sentences for the report about how it was measured.
        tables: More tables by title.
    """
    extra = dict(tables or {})
    for title, more in {'': rows, **extra}.items():
        print(*filter(None, [title, markdown(more)]), sep='\n')
    print(*goals, sep='\n')
    settings = {key: portable(value) for key, value in vars(args).items() if key != 'out'}
    content = dict(
        benchmark=name, machine=machine(args.device), device=args.device, command=command_line(),
        settings=settings, rows=rows, figure=figure, note=note, tables=extra,
        goals=[goal._asdict() for goal in goals])
    file = write_json(content, args.out)
    print(f'{machine(args.device)}\nThe figures are in {file}')
    return file


def command_line() -> str:
    """Returns this script's command, relative to the repository's root, without ``--out``."""
    script, arguments = Path(sys.argv[0]).resolve(), list(sys.argv[1:])
    if '--out' in arguments:
        place = arguments.index('--out')
        del arguments[place:place + 2]
    return shlex.join(['python', portable(script), *arguments])


def portable(value: Any) -> Any:
    """Converts a setting to JSON; paths below the root become relative to it."""
    if isinstance(value, list | tuple):
        return [portable(each) for each in value]
    if isinstance(value, Path | str):
        return str(value).replace(f'{ROOT}{os.sep}', '')
    return value
