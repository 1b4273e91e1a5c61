"""What the benchmark scripts share: the machine, alternating runs, peak memory, tables and JSON.

A script beside this one begins with ``import common`` and keeps to this shape::

    parser = common.make_parser(__doc__, 'name')        # --out, --threads, --device, --repeats
    args = common.parse(parser)                         # sets the threads
    times = common.alternate({'ours': ours, 'theirs': theirs}, args.repeats, args.device)
    ratio = common.ratio(times['ours'], times['theirs'])
    rows = [dict(model='r50', ours_ms=common.median(times['ours']), ratio=ratio.median,
                 ratio_low=ratio.low, ratio_high=ratio.high)]
    common.finish('name', args, rows, figure='ratio',
                  goals=[common.Goal('what', 'at most', 0.8, ratio.median)])

Keys of a row become the titles of a table's columns: ``_`` becomes a space. The strings of a row
tell it from the others, here and in the report.
"""
import argparse
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from prettytable import PrettyTable

from mmseg_instbox.utils import write_json

ROOT = Path(__file__).resolve().parents[2]
MIB = 2**20
# glibc gives blocks from 1 MiB on back when they are freed, so that a peak is what is in use
GIVE_BACK = dict(MALLOC_MMAP_THRESHOLD_=str(MIB))


class Ratio(NamedTuple):
    """The median and the quartiles of the ratios of runs that follow each other."""
    median: float
    low: float
    high: float


class Goal(NamedTuple):
    """What a figure is meant to be: ``sense`` is 'at most', 'at least' or 'under'.

    ``value`` is what was measured, None for a goal that was not measured.
    """
    figure: str
    sense: str
    limit: float
    value: float | None
    unit: str = ''

    def met(self) -> bool | None:
        """Whether it is; None if nobody knows."""
        if self.value is None:
            return None
        if self.sense == 'at least':
            return self.value >= self.limit
        return self.value < self.limit if self.sense == 'under' else self.value <= self.limit


def make_parser(doc: str, name: str, repeats: int | None = 9, threads: int | None = None,
                device: bool = True) -> argparse.ArgumentParser:
    """Make a parser with the options that benchmarks share.

    Args:
        doc: The script's docstring, its help.
        name: The benchmark's; its figures go to ``work_dirs/benchmarks/NAME.json``.
        repeats: Default of ``--repeats``; None for a benchmark without that option.
        threads: Default of ``--threads``; two, where there are two, if None.
        device: Whether there is ``--device``; without it the benchmark is one of the CPU.
    """
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, default=Path(f'work_dirs/benchmarks/{name}.json'),
                        help='JSON file with the figures (default: %(default)s)')
    parser.add_argument('--threads', type=positive,
                        default=threads or min(2, os.cpu_count() or 1),
                        help='threads of torch (default: %(default)s)')
    if device:
        parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu',
                            help='default: %(default)s')
    else:
        parser.set_defaults(device='cpu')
    if repeats:
        parser.add_argument('--repeats', type=positive, default=repeats,
                            help='rounds, in each of which every contestant runs once '
                                 '(default: %(default)s)')
    return parser


def positive(text: str) -> int:
    """A whole number from 1 on, as a type of an argument."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f'{text} is not at least 1')
    return value


def parse(parser: argparse.ArgumentParser, arguments: Sequence[str] | None = None
          ) -> argparse.Namespace:
    """Parse, and give torch as many threads as are asked for."""
    args = parser.parse_args(arguments)
    if args.device.startswith('cuda') and not torch.cuda.is_available():
        parser.error(f'--device {args.device}: torch sees no GPU here')
    torch.set_num_threads(args.threads)
    return args


def processor() -> str:
    """The processor's name and number of cores."""
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(':', 1)[1].strip() for line in lines if line.startswith('model name')]
    name = names[0] if names else platform.processor() or platform.machine()
    return f'{name}, {os.cpu_count()} cores'


def machine(device: str = 'cpu') -> str:
    """The machine of a measurement in a line: processor or GPU, memory, threads and versions."""
    parts = [processor()]
    if hasattr(os, 'sysconf') and 'SC_PHYS_PAGES' in os.sysconf_names:
        memory = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
        parts.append(f'{memory / 2**30:.0f} GiB of memory')
    if device.startswith('cuda'):
        parts.insert(0, torch.cuda.get_device_name(device))
    parts += [f'{torch.get_num_threads()} threads', f'Python {platform.python_version()}',
              f'torch {torch.__version__}']
    return ', '.join(parts)


def median(values: Sequence[float]) -> float:
    """The median, as a float."""
    return float(statistics.median(values))


def ratio(of: Sequence[float], over: Sequence[float]) -> Ratio:
    """Ratio of two contestants, from the runs of each round of :func:`alternate`."""
    ratios = [a / b for a, b in zip(of, over, strict=True)]
    if len(ratios) == 1:
        return Ratio(ratios[0], ratios[0], ratios[0])
    low, middle, high = statistics.quantiles(ratios, n=4, method='inclusive')
    return Ratio(middle, low, high)


def ratio_columns(name: str, of: Sequence[float], over: Sequence[float]) -> dict[str, Any]:
    """Columns of a row: a ratio's median under ``name``, and its quartiles."""
    found = ratio(of, over)
    return {name: found.median, 'quartiles': f'{found.low:.2f} to {found.high:.2f}'}


def milliseconds(work: Callable[[], Any], device: str = 'cpu') -> float:
    """Milliseconds of a call; on a GPU by CUDA events, when all of it is done."""
    if not device.startswith('cuda'):
        begin = time.perf_counter()
        work()
        return (time.perf_counter() - begin) * 1e3
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    begin.record()
    work()
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end)


def alternate(contestants: Mapping[str, Callable[[], Any]], repeats: int, device: str = 'cpu',
              warm_up: int = 2) -> dict[str, list[float]]:
    """Let contestants take turns (a, b, a, b, ...), so that a busy machine slows all of them down.

    Args:
        contestants: What to time, by name.
        repeats: Rounds that count.
        device: Where they run.
        warm_up: Rounds before that do not.

    Returns:
        dict[str, list[float]]: Milliseconds of each contestant in each round.
    """
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(warm_up + repeats):
        for name, work in contestants.items():
            elapsed = milliseconds(work, device)
            if turn >= warm_up:
                times[name].append(elapsed)
    return times


def peak_memory() -> float:
    """Most memory in MiB that this process has held since it began."""
    try:  # ru_maxrss also counts the process that started this one
        status = Path('/proc/self/status').read_text()
        return int(status.split('VmHWM:')[1].split()[0]) / 1024
    except (OSError, IndexError):
        import resource
        unit = MIB if platform.system() == 'Darwin' else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def print_memory(work: Callable[[], Any], device: str = 'cpu') -> None:
    """In a process of its own: do the work, and print for :func:`memory_of` what it took."""
    before = peak_memory()
    if device.startswith('cuda'):
        torch.cuda.reset_peak_memory_stats()
    work()
    figures = dict(peak_mib=peak_memory(), grown_mib=peak_memory() - before)
    if device.startswith('cuda'):
        peak = torch.cuda.max_memory_allocated() / MIB
        figures = dict(peak_mib=peak, grown_mib=peak)
    print(json.dumps(figures))


def memory_of(script: str, *arguments: object) -> dict[str, float]:
    """Peak memory of a script in a fresh process that ends with :func:`print_memory`.

    Returns:
        dict[str, float]: ``peak_mib`` of the process (on a GPU: of its tensors), and ``grown_mib``,
            what came on top of the libraries and the model.

    Raises:
        RuntimeError: The process failed; with the end of what it said.
    """
    printed = run_script(script, *arguments, variables=GIVE_BACK)
    return json.loads(printed.splitlines()[-1])


def run_script(script: str | Path, *arguments: object, timeout: float | None = None,
               variables: Mapping[str, str] | None = None) -> str:
    """What a Python script prints in a fresh process that finds this package.

    Raises:
        RuntimeError: The process failed; with the end of what it said.
    """
    command = [sys.executable, str(script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout,
                          env=environment(variables))
    if done.returncode:
        raise RuntimeError(f'{shlex.join(command)} failed with exit code {done.returncode}:\n'
                           f'{(done.stdout + done.stderr)[-2000:]}')
    return done.stdout


def environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """Variables for a process that finds this package, with others beside."""
    paths = [str(ROOT), *filter(None, [os.environ.get('PYTHONPATH')])]
    return dict(os.environ, PYTHONPATH=os.pathsep.join(paths)) | dict(variables or {})


def autocast(device: str, dtype: str) -> torch.autocast:
    """Mixed precision of that dtype, or none for ``'float32'``."""
    kind = device.partition(':')[0]
    return torch.autocast(kind, getattr(torch, 'bfloat16' if dtype == 'float32' else dtype),
                          enabled=dtype != 'float32')


def show(value: Any) -> str:
    """A cell of a table: three digits of a number, a dash for nothing."""
    if value is None:
        return '-'
    if isinstance(value, float):
        size = abs(value)
        places = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 or size == 0 else 3
        return f'{value:.{places}f}' if size >= 0.1 or size == 0 else f'{value:.3g}'
    return str(value)


def titles(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """All keys of the rows in the order of their first appearance."""
    return list(dict.fromkeys(key for row in rows for key in row))


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as a table for a terminal."""
    keys = titles(rows)
    text = PrettyTable([key.replace('_', ' ') for key in keys])
    text.add_rows([[show(row.get(key)) for key in keys] for row in rows])
    text.align = 'r'
    return text.get_string()


def command_line() -> str:
    """How this script was called, from the repository's root, without ``--out``."""
    script = Path(sys.argv[0]).resolve()
    script = script.relative_to(ROOT) if script.is_relative_to(ROOT) else Path(script.name)
    arguments = list(sys.argv[1:])
    if '--out' in arguments:
        place = arguments.index('--out')
        del arguments[place:place + 2]
    return shlex.join(['python', str(script), *arguments])


def finish(name: str, args: argparse.Namespace, rows: Sequence[Mapping[str, Any]], *,
           figure: str | None = None, goals: Sequence[Goal] = (), note: str = '',
           tables: Mapping[str, Sequence[Mapping[str, Any]]] | None = None) -> Path:
    """Print the tables and write the JSON file that ``report.py`` reads.

    Args:
        name: The benchmark's.
        args: Parsed arguments; all but ``out`` are the settings.
        rows: Of the main table.
        figure: Key of the rows' main figure, the one of which the report also shows a GPU's.
        goals: Figures that are meant to be something.
        note: Sentences for the report about how it was measured.
        tables: More tables by title.
    """
    extra = dict(tables or {})
    for title, more in {'': rows, **extra}.items():
        print(*filter(None, [title, table(more)]), sep='\n')
    for goal in goals:
        print(f'{goal.figure}: {show(goal.value)}{goal.unit}, goal {goal.sense} '
              f'{show(goal.limit)}{goal.unit}')
    settings = {key: portable(value) for key, value in vars(args).items() if key != 'out'}
    content = dict(
        benchmark=name, machine=machine(args.device), device=args.device, command=command_line(),
        settings=settings, rows=rows, figure=figure, note=note, tables=extra,
        goals=[goal._asdict() for goal in goals])
    file = write_json(content, args.out)
    print(f'{machine(args.device)}\nThe figures are in {file}')
    return file


def portable(value: Any) -> Any:
    """A setting that JSON can express and that names no folder of this machine above the root."""
    if isinstance(value, list | tuple):
        return [portable(each) for each in value]
    if isinstance(value, Path | str):
        return str(value).replace(f'{ROOT}{os.sep}', '')
    return value
