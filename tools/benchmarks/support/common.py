"""What the benchmark scripts share: options, runs that take turns, peak memory, tables and JSON.

A script of the folder above imports this, parses its command line with
:func:`make_parser` and :func:`parse`, times what it compares with :func:`alternate`, makes rows of
the times with :func:`compare` and ends with :func:`finish`. The keys of a row are the titles of a
table's columns, with ``_`` for a space.
"""
import argparse
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
from mmseg.structures import SegDataSample

from mmseg_instbox.core import VOID
from mmseg_instbox.datasets.transforms import PackInstInputs
from mmseg_instbox.engine.optim_wrappers import has_fast_bfloat16
from mmseg_instbox.utils import write_json

ROOT = Path(__file__).resolve().parents[3]
SAMPLES = ROOT / 'demo' / 'samples'
PHOTOGRAPHS = sorted(SAMPLES.glob('*.jpg'))
MIB = 2**20
DEMO = 'instbox_deeplabv3-mobilenet-v2-d16_1xb8-5k_voc-plus-416x416'  # the model in demo/
MODEL = f'Model: `{DEMO}`, the one in `demo/`.'


class Figure(NamedTuple):
    """A figure, what it is compared with, and its goal.

    ``ours`` is None if it was not measured; ``ratio`` is ours over the peer's. The goal is one of
    the ratio, or of ``ours`` without a peer.
    """
    what: str
    ours: float | None = None
    unit: str = ''
    peer: float | None = None
    ratio: float | None = None
    at_most: float | None = None
    at_least: float | None = None

    def row(self) -> dict[str, Any]:
        value = self.ours if self.ratio is None else self.ratio
        sense, limit = ('most', self.at_most) if self.at_least is None else ('least', self.at_least)
        goal = None if limit is None else f'at {sense} {show(limit)}'
        if goal and value is not None:
            met = value <= limit if sense == 'most' else value >= limit
            goal += f', {"" if met else "not "}met'
        ours, peer = (each if each is None else f'{show(each)} {self.unit}'.rstrip()
                      for each in (self.ours, self.peer))
        return dict(what=self.what, ours=ours or 'not measured', peer=peer, ratio=self.ratio,
                    goal=goal)


def make_parser(doc: str, name: str, repeats: int | None,
                device: bool = True) -> argparse.ArgumentParser:
    """Makes a parser with the options that benchmarks share; ``doc`` is its help.

    ``repeats`` is a default, None for a benchmark without ``--repeats``; without ``device`` the
    benchmark runs on the CPU.
    """
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, default=Path(f'work_dirs/benchmarks/{name}.json'),
                        help='JSON file for the figures (default: %(default)s)')
    parser.add_argument('--threads', type=int, default=min(2, os.cpu_count() or 1),
                        help='threads of torch (default: %(default)s)')
    parser.set_defaults(device='cpu')
    if device:
        parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu',
                            help='default: %(default)s')
    if repeats:
        parser.add_argument('--repeats', type=int, default=repeats,
                            help='rounds, in each of which every contestant runs once '
                                 '(default: %(default)s)')
    return parser


def parse(parser: argparse.ArgumentParser, quick: Mapping[str, Any],
          arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses the command line; with ``--quick``, ``quick`` are the defaults. Sets the threads."""
    parser.add_argument('--quick', action='store_true',
                        help='smallest possible run, to check that the script works')
    if parser.parse_args(arguments).quick:
        parser.set_defaults(**dict(threads=1, repeats=1) | dict(quick))
    args = parser.parse_args(arguments)
    torch.set_num_threads(args.threads)
    return args


def spread(items: Sequence[Any], count: int) -> list[Any]:
    """Takes at most that many of some items, evenly spread."""
    count = min(count, len(items))
    return [items[index * len(items) // count] for index in range(count)]


def plain(node: Any, **values: Any) -> Any:
    """Copies a nested config without pretrained weights, with BN for SyncBN and these values."""
    if isinstance(node, dict):
        return {key: values.get(key, plain(value, **values)) for key, value in node.items()
                if key not in ('pretrained', 'init_cfg')}
    if isinstance(node, list | tuple):
        return type(node)(plain(each, **values) for each in node)
    return 'BN' if node == 'SyncBN' else node


def truth(seg_map: np.ndarray, inst_map: np.ndarray) -> SegDataSample:
    """Packs a category and an instance map (H, W); category 0 alone has no instances."""
    # of another original shape, so that mmdet's description of the objects is left out
    return PackInstInputs(meta_keys=()).transform(dict(
        img=np.zeros((*seg_map.shape, 1), np.uint8), ori_shape=(0, 0), thing_ids=range(1, VOID),
        gt_seg_map=seg_map, gt_inst_map=inst_map.astype(np.int32)))['data_samples']


def machine(device: str = 'cpu') -> str:
    """Describes the machine in a line: GPU, processor, its vectors, memory, threads, versions."""
    cpuinfo = Path('/proc/cpuinfo')
    text = cpuinfo.read_text() if cpuinfo.is_file() else ''
    names = [line.partition(': ')[2] for line in text.splitlines() if line.startswith('model name')]
    memory = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
    return ', '.join([
        *([torch.cuda.get_device_name(device)] if device.startswith('cuda') else []), *names[:1],
        torch.backends.cpu.get_cpu_capability() + ' with bfloat16' * has_fast_bfloat16('cpu'),
        f'{os.cpu_count()} cores', f'{memory / 2**30:.0f} GiB of memory',
        f'{torch.get_num_threads()} threads', f'Python {platform.python_version()}',
        f'torch {torch.__version__}'])


def compare(times: Mapping[str, Sequence[float]], title: str, name: str,
            over_first: bool = False) -> list[dict[str, Any]]:
    """Makes a row for each contestant of :func:`alternate`, with the ratio of the first one to it.

    ``title`` and ``name`` are the columns of contestant and ratio, the median over the rounds; with
    ``over_first`` the ratio is the contestant's over the first one's.
    """
    first, rows = next(iter(times.values())), []
    for contestant, values in times.items():
        ratios = np.divide(values, first) if over_first else np.divide(first, values)
        low, middle, high = np.percentile(ratios, (25, 50, 75)).tolist()
        rows.append({title: contestant, 'ms': median(values), name: middle,
                     'quartiles': f'{low:.2f} to {high:.2f}'})
    return rows


def timed(work: Callable[[], Any], device: str = 'cpu') -> tuple[float, Any]:
    """Returns the milliseconds of a call, on a GPU until all its work is done, and its result."""
    wait = torch.cuda.synchronize if device.startswith('cuda') else lambda: None
    wait()
    begin = time.perf_counter()
    result = work()
    wait()
    return (time.perf_counter() - begin) * 1e3, result


def alternate(contestants: Mapping[str, Callable[..., Any]], repeats: int, device: str = 'cpu',
              items: Sequence[Any] | None = None) -> dict[str, list[float]]:
    """Times contestants in turn (a, b, a, b, ...), so that other load slows all of them.

    Returns the milliseconds of each in ``repeats`` rounds, which follow one to warm up; of one of
    the ``items`` after another, if they are given, with which the contestants are then called.
    """
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for arguments in [()] if items is None else [(item, ) for item in items]:
        for number in range(1 + repeats):
            for name, work in contestants.items():
                spent, _ = timed(partial(work, *arguments), device)
                times[name] += [spent] if number else []
    return times


def peak_memory(device: str = 'cpu') -> float:
    """Returns the most memory in MiB that this process has held, on a GPU that of its tensors.

    On a CPU it needs Linux.
    """
    if device.startswith('cuda'):
        return torch.cuda.max_memory_allocated() / MIB
    status = Path('/proc/self/status')  # ru_maxrss also counts the process that started this one
    return int(status.read_text().split('VmHWM:')[1].split()[0]) / 1024


def run_script(*arguments: object, variables: Mapping[str, str] | None = None) -> None:
    """Runs Python with these arguments and more environment variables in a fresh process.

    Raises RuntimeError with the end of its output if it failed.
    """
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True,
                          env=os.environ | dict(variables or {}))
    if done.returncode:
        raise RuntimeError(f'{shlex.join(command)} failed with exit code {done.returncode}:\n'
                           f'{(done.stdout + done.stderr)[-2000:]}')


def show(value: Any) -> str:
    """Formats a cell of a table: three digits of a number, a dash for None."""
    if isinstance(value, float):
        return f'{value:.0f}' if abs(value) >= 99.95 else f'{value:#.3g}'
    return '-' if value is None else str(value)


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Formats rows as a Markdown table; columns are in the order of their first appearance."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    lines = [[key.replace('_', ' ') for key in keys], ['---'] * len(keys)]
    lines += [[show(row.get(key)).replace('|', '\\|') for key in keys] for row in rows]
    return ''.join(f'| {" | ".join(cells)} |\n' for cells in lines)


def finish(name: str, args: argparse.Namespace, rows: Sequence[Mapping[str, Any]], *,
           figures: Sequence[Figure] = (), note: str = '',
           tables: Mapping[str, Sequence[Mapping[str, Any]]] = {}) -> None:
    """Prints the tables and writes the JSON file that ``report.py`` reads.

    ``rows`` are the main table, ``tables`` others by title. The first one of ``figures``, which are
    comparisons and goals, is in the page's first table; ``note`` are sentences for the page.
    """
    for title, more in {'': rows, **tables, 'Figures': [each.row() for each in figures]}.items():
        if more:
            print(f'{title}\n{markdown(more)}')
    arguments = sys.argv[1:]
    if '--out' in arguments:
        place = arguments.index('--out')
        del arguments[place:place + 2]
    command = shlex.join(['python', f'tools/benchmarks/{name}.py', *arguments])
    file = write_json(dict(
        benchmark=name, machine=machine(args.device), note=note,
        command=command.replace(f'{ROOT}{os.sep}', ''), rows=rows, tables=tables,
        figures=[each._asdict() for each in figures]), args.out)
    print(f'{machine(args.device)}\nThe figures are in {file}')
