"""Give damaged inputs to every reader of the package, and count what comes out.

Each format (pictures, masks, lists, annotation files, checkpoints, configs, exported models) is
damaged in as many ways as asked for, by a seed, and read in a process of its own with bounds on
processor time and memory. An input is read to a result that holds what must hold (the same picture
from both readers, masks of the image's size, known categories, one category an object, files within
the data's folder, the file's weights), or refused with an error of the package. Anything else
counts as failed: another exception, a wrong result, a crash, too much time or memory. Failed inputs
are kept, and printed with the command that repeats them; the exit code is then 1.
"""
import argparse
import gc
import json
import os
import queue
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]  # fuzzing and the package

from fuzzing import FORMATS, WrongResult, open_format  # noqa: E402

from mmseg_instbox.errors import InstBoxError  # noqa: E402
from mmseg_instbox.utils import write_json  # noqa: E402

MAX_SENTENCE = 3000  # characters of an error; a longer one is no sentence
GRACE = 120  # seconds by the clock after which a process is killed that does not answer


class Outcome(NamedTuple):
    """What became of an input: ``kind`` is correct, refused or one of the failures."""
    number: int
    kind: str
    reason: str = ''
    seconds: float = 0.


class TooSlow(BaseException):
    """An input took more time than it may; no reader takes it for an error of its own."""


def main() -> None:
    args = parse_args()
    if args.worker:
        work(args)
        return
    rows, failed = [], []
    for name in args.format or FORMATS:
        outcomes = run_format(name, args)
        rows.append(row := summarise(name, outcomes))
        print(*(f'{key} {value}' for key, value in row.items()), sep=', ', flush=True)
        failed += [(name, each) for each in outcomes if each.kind not in ('correct', 'refused')]
    print(f'{len(failed)} inputs failed; the counts are in {write_json(rows, args.out)}')
    for name, each in failed[:50]:
        print(f'{name} {each.number}: {each.kind}: {each.reason}\n  again: python '
              f'tests/fuzz/fuzz.py --format {name} --seed {args.seed} --first {each.number} '
              '--inputs 1')
    sys.exit(bool(failed))


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--inputs', type=int, default=1000,
                        help='inputs of each format (default: %(default)s)')
    parser.add_argument('--format', action='append', choices=FORMATS,
                        help='a format, can be given several times (default: all)')
    parser.add_argument('--seed', type=int, default=0, help='default: %(default)s')
    parser.add_argument('--first', type=int, default=0,
                        help='number of the first input (default: %(default)s)')
    parser.add_argument('--seconds', type=float, default=10,
                        help='bound on the processor time of an input (default: %(default)s)')
    parser.add_argument('--memory', type=float, default=3,
                        help='bound on the memory in GB that inputs may add to a process '
                             '(default: %(default)s)')
    parser.add_argument('--keep', type=Path, default=Path('work_dirs/fuzz'),
                        help='folder for inputs that failed (default: %(default)s)')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/fuzz.json'),
                        help='JSON file with the counts (default: %(default)s)')
    parser.add_argument('--worker', help=argparse.SUPPRESS)  # the folder of this process
    return parser.parse_args()


def summarise(name: str, outcomes: list[Outcome]) -> dict[str, Any]:
    """Counts of a format."""
    counts = Counter(each.kind for each in outcomes)
    good = counts['correct'] + counts['refused']
    slowest = max((each.seconds for each in outcomes), default=0.)
    return dict(format=name, inputs=len(outcomes), correct=counts['correct'],
                refused=counts['refused'], failed=len(outcomes) - good, slowest_s=slowest)


def run_format(name: str, args: argparse.Namespace) -> list[Outcome]:
    """Read all inputs of a format; a process that dies is replaced after the input it died of."""
    outcomes: list[Outcome] = []
    last = args.first + args.inputs
    while (first := args.first + len(outcomes)) < last:
        with tempfile.TemporaryDirectory(prefix='fuzz-') as folder:
            command = [sys.executable, '-W', 'ignore', __file__, '--format', name, '--first',
                       str(first), '--inputs', str(last - first), '--seed', str(args.seed),
                       '--seconds', str(args.seconds), '--memory', str(args.memory),
                       '--keep', str(args.keep), '--worker', str(Path(folder) / 'in')]
            found = _watch(command, first, args.seconds)
            outcomes += found
            if found and found[-1].kind in ('crash', 'hang'):
                _keep(Path(folder) / 'in', args.keep / name / str(found[-1].number))
    return outcomes


def _watch(command: list[str], first: int, seconds: float) -> list[Outcome]:
    """The outcomes that a worker prints; the last one tells how it died, if it did."""
    environment = dict(os.environ, OMP_NUM_THREADS='1')
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=environment)
    lines: queue.Queue = queue.Queue()
    threading.Thread(target=_pump, args=(process, lines), daemon=True).start()
    errors: list[bytes] = []
    threading.Thread(target=lambda: errors.append(process.stderr.read()), daemon=True).start()
    outcomes: list[Outcome] = []
    patience = 300.  # for the imports and the sound inputs
    try:
        while (line := lines.get(timeout=patience)) is not None:
            patience = seconds + GRACE
            if line.startswith(b'{"number"'):
                outcomes.append(Outcome(**json.loads(line)))
    except queue.Empty:
        process.kill()
        return [*outcomes, Outcome(first + len(outcomes), 'hang', f'no answer in {patience} s')]
    code = process.wait()
    if code:
        reason = (errors[0] if errors else b'').decode(errors='replace')[-300:]
        outcomes.append(Outcome(first + len(outcomes), 'crash', f'exit code {code}: {reason}'))
    return outcomes


def _pump(process: subprocess.Popen, lines: queue.Queue) -> None:
    for line in process.stdout:
        lines.put(line)
    lines.put(None)


def work(args: argparse.Namespace) -> None:
    """In a process of its own: read inputs and print an outcome for each."""
    folder, name = Path(args.worker), args.format[0]
    answers = os.fdopen(os.dup(1), 'w')
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # readers may print
    subject = open_format(name, folder)
    gc.freeze()  # MMEngine collects garbage for each data set
    signal.signal(signal.SIGPROF, _ring)
    bound_memory(args.memory)
    for number in range(args.first, args.first + args.inputs):
        subject.write(generator(name, args.seed, number))
        outcome = judge(subject, number, args.seconds)
        if outcome.kind not in ('correct', 'refused'):
            _keep(folder, args.keep / name / str(number))
        print(json.dumps(outcome._asdict()), file=answers, flush=True)


def generator(name: str, seed: int, number: int) -> np.random.Generator:
    """The random generator of an input: the same for each run, and its own for each format."""
    return np.random.default_rng([seed, number, *name.encode()])


def judge(subject: Any, number: int, seconds: float) -> Outcome:
    """Read an input and name the outcome; ``SIGPROF`` must have a handler that raises TooSlow."""
    start = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        subject.read()
        kind, reason = 'correct', ''
    except TooSlow:
        kind, reason = 'too slow', f'more than {seconds} s'
    except InstBoxError as error:
        sound = 10 < len(str(error)) < MAX_SENTENCE and 'Traceback' not in str(error)
        kind, reason = ('refused', '') if sound else ('no sentence', str(error)[:300])
    except WrongResult as error:
        kind, reason = 'wrong', str(error)
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        kind = 'other exception'
        reason = f'{type(error).__name__}: {error} ({place.filename}:{place.lineno})'[:400]
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return Outcome(number, kind, reason, time.process_time() - start)


def _ring(*_: Any) -> None:
    raise TooSlow


def bound_memory(gigabytes: float) -> None:
    """Let this process grow by no more than that from here on."""
    pages = int(Path('/proc/self/statm').read_text().split()[0])
    most = pages * os.sysconf('SC_PAGE_SIZE') + int(gigabytes * 1e9)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _keep(folder: Path, place: Path) -> None:
    """Copy the files of an input that failed."""
    shutil.rmtree(place, ignore_errors=True)
    if folder.is_dir():
        shutil.copytree(folder, place, ignore_dangling_symlinks=True)


if __name__ == '__main__':
    main()
