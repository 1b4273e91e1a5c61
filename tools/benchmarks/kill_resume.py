"""Kill a training again and again, resume it each time, and compare it with one never killed.

A small network learns from generated images, with random augmentation, dropout and a moving average
of its weights, and writes a checkpoint each iteration. It is killed with SIGKILL: every other time
while it writes a checkpoint, otherwise at a random moment, from its start or from its first new
checkpoint on. In the end weights, moving average, optimizer and schedule must be, bit for bit,
those of the run that nobody killed.
"""
import argparse
import multiprocessing
import os
import random
import shutil
import sys
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import common
import torch

from mmseg_instbox.cli.scripts.arguments import user_errors
from mmseg_instbox.engine import (
    last_checkpoint,
    read_checkpoint,
    start_runner,
    training_config,
)

CONFIG = common.ROOT / 'configs/instbox/instbox_fcrn-r18-d8_1xb8-2k_shapes-160x160.py'
COMPARED = ('state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers')
HALF_WRITTEN = '.iter_*.pth.*'
PATIENCE = 300  # seconds to wait for a checkpoint that is being written
AIMS = ('write', 'training', 'write', 'start')  # one kill each, over and over
WORDS = dict(write='while a checkpoint is written', training='at a random moment after the first '
             'new checkpoint', start='at a random moment from the start')


def parse_args() -> argparse.Namespace:
    parser = common.make_parser(__doc__, 'kill_resume', repeats=None, threads=1, device=False)
    parser.add_argument('--kills', type=common.positive, default=50, help='default: %(default)s')
    parser.add_argument('--iters', type=common.positive, default=300,
                        help='length of the training in iterations (default: %(default)s)')
    parser.add_argument('--longest', type=float, default=6,
                        help='a random moment is at most so many seconds from the start of a run, '
                        'or a quarter of them from its first checkpoint (default: %(default)s)')
    parser.add_argument('--workers', type=int, default=1, help='data loader workers')
    parser.add_argument('--seed', type=int, default=0, help='of the moments of the kills')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/benchmarks/kill_resume'),
                        help='made anew (default: %(default)s)')
    return common.parse(parser)


def make_data(root: Path) -> None:
    """Generate a few images in VOC's layout below ``root``."""
    common.run_script(common.ROOT / 'tools/dataset_converters/make_shapes.py', '--out', root,
                      '--num-train', 24, '--num-val', 0, '--size', 96, '--workers', 1)


def train(work_dir: Path, data_root: Path, args: argparse.Namespace) -> None:
    """Train, or go on with a training, to its end; what it prints goes to ``output.txt``."""
    work_dir.mkdir(parents=True, exist_ok=True)
    output = os.open(work_dir / 'output.txt', os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(output, stream)
    torch.set_num_threads(args.threads)
    options = {
        'train_dataloader.batch_size': 4,
        'train_dataloader.num_workers': args.workers,
        'train_dataloader.persistent_workers': args.workers > 0,
        'train_dataloader.dataset.data_root': str(data_root),
        'train_cfg.max_iters': args.iters,
        'val_cfg': None, 'val_dataloader': None, 'val_evaluator': None,
        'default_hooks.checkpoint.interval': 1,
        'default_hooks.checkpoint.save_best': None,
        'model.decode_head.dropout_ratio': 0.2,
        'custom_hooks': [dict(type='EMAHook', momentum=0.01)],
        'randomness.seed': 7,
    }
    cfg = training_config(str(CONFIG), work_dir=str(work_dir), cfg_options=options, resume='auto')
    start_runner(cfg).train()


def run_until_killed(process: BaseProcess, work_dir: Path, aim: str, longest: float,
                     rng: random.Random) -> tuple[bool, bool]:
    """Start a training and kill it.

    Args:
        process: Not yet started.
        work_dir: Of the training.
        aim: ``'write'``: while a checkpoint is written; ``'training'``: some time after the first
            of its own; ``'start'``: some time after the start.
        longest: Latest random moment from the start, in seconds.
        rng: Draws the moment.

    Returns:
        tuple[bool, bool]: Whether it was still running, and whether half a checkpoint of its own is
            left.
    """
    old = set(work_dir.glob(HALF_WRITTEN))
    process.start()
    random_end = time.monotonic() + rng.uniform(0, longest) if aim == 'start' else None
    end = time.monotonic() + PATIENCE
    passed_over, delay = rng.randint(1, 4), rng.uniform(0, longest / 4)
    seen: set[Path] = set()
    while process.is_alive() and time.monotonic() < (random_end or end):
        seen.update(set(work_dir.glob(HALF_WRITTEN)) - old)
        if aim == 'write' and len(seen) >= passed_over:
            time.sleep(rng.uniform(0, 0.01))
            break
        if aim == 'training' and seen and random_end is None:
            random_end = time.monotonic() + delay
        time.sleep(0.0005)
    process.kill()
    process.join()
    return process.exitcode == -9, bool(set(work_dir.glob(HALF_WRITTEN)) - old)


def differences(one: object, other: object, place: str = '') -> list[str]:
    """Where two nested structures of tensors and plain data differ, bit for bit."""
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        same = one.dtype == other.dtype and torch.equal(one, other)
        return [] if same else [place]
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return [each for key in one for each in differences(one[key], other[key], f'{place}.{key}')]
    if isinstance(one, list | tuple) and type(one) is type(other) and len(one) == len(other):
        return [each for index, pair in enumerate(zip(one, other, strict=True))
                for each in differences(*pair, f'{place}[{index}]')]
    return [] if type(one) is type(other) and one == other else [place]


def compare(work_dirs: list[Path]) -> list[str]:
    """Where the last checkpoints of two runs differ."""
    one, other = (read_checkpoint(last_checkpoint(folder)) for folder in work_dirs)
    return differences(*({key: each[key] for key in COMPARED} | {'iter': each['meta']['iter']}
                         for each in (one, other)))


def main() -> None:
    args = parse_args()
    os.environ['OMP_NUM_THREADS'] = str(args.threads)
    shutil.rmtree(args.work_dir, ignore_errors=True)
    folders = [args.work_dir.resolve() / name for name in ('straight', 'killed')]
    data_root = args.work_dir.resolve() / 'data'
    make_data(data_root)
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload([f'mmseg_instbox.{room}' for room in (
        'datasets', 'engine', 'evaluation', 'models', 'visualization')])

    def training(folder: Path) -> BaseProcess:
        return context.Process(target=train, args=(folder, data_root, args))

    start = time.monotonic()
    straight = training(folders[0])
    straight.start()
    straight.join()
    if straight.exitcode:
        sys.exit(f'The training itself failed: see {folders[0] / "output.txt"}')
    print(f'never killed: {args.iters} iterations in {time.monotonic() - start:.0f} s', flush=True)
    rng, moments, reached = random.Random(args.seed), [], []
    while len(moments) < args.kills and reached[-1:] != [args.iters]:
        aim = AIMS[len(moments) % len(AIMS)]
        killed, half = run_until_killed(training(folders[1]), folders[1], aim, args.longest, rng)
        moments += [(aim, half)] * killed
        with user_errors():
            checkpoint = last_checkpoint(folders[1])
        reached.append(0 if checkpoint is None else read_checkpoint(checkpoint)['meta']['iter'])
    last = training(folders[1])
    last.start()
    last.join()
    report(args, folders, moments, last.exitcode, time.monotonic() - start)


def report(args: argparse.Namespace, folders: list[Path], moments: list[tuple[str, bool]],
           exit_code: int | None, seconds: float) -> None:
    """Compare the two runs, print and write the figures, and end with 1 if the runs differ.

    Args:
        args: Of the command line.
        folders: Work directories of the run that was never killed, and of the other.
        moments: For each kill, what it aimed at, and whether half a checkpoint was left.
        exit_code: Of the last resumed run.
        seconds: What it all took.
    """
    broken = sorted(file.name for file in folders[1].glob('*.broken'))
    found = compare(folders) if exit_code == 0 else ['the last run failed']
    rows = [dict(killed=WORDS[aim], times=len(halves), half_a_checkpoint_left=sum(halves))
            for aim in WORDS if (halves := [half for each, half in moments if each == aim])]
    rows.append(dict(killed='in all', times=len(moments),
                     half_a_checkpoint_left=sum(half for _, half in moments)))
    places = ', '.join(COMPARED)
    common.finish('kill_resume', args, rows, figure='times', goals=[
        common.Goal(f'differences in {places}', 'at most', 0, len(found)),
        common.Goal('checkpoints that could not be read', 'at most', 0, len(broken))],
        note=f'A training of {args.iters} iterations that writes a checkpoint each iteration, '
        f'killed and resumed for {seconds:.0f} seconds.')
    print('\n'.join(found[:10] + broken[:10]))
    sys.exit(1 if found else 0)


if __name__ == '__main__':
    main()
