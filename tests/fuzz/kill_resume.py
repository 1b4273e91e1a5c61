"""Kill a training again and again, resume it each time, and compare it with one never killed.

A small network learns from generated images, with random augmentation, dropout and a moving average
of its weights, and writes a checkpoint each iteration. It is killed with SIGKILL: every other time
while it writes a checkpoint, otherwise at a random moment, from its start or from its first new
checkpoint on. In the end weights, moving average, optimizer and schedule must equal those of the
uninterrupted training bit for bit, and every checkpoint must have been readable. Otherwise the exit
code is 1.
"""
import argparse
import os
import random
import shutil
import subprocess
import sys
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / 'tests')]

from programs import SERVER, quicken  # noqa: E402

from mmseg_instbox.engine import (  # noqa: E402
    last_checkpoint,
    read_checkpoint,
    start_runner,
    training_config,
)

CONFIG = ROOT / 'configs/instbox/instbox_fcrn-r18-d8_1xb8-2k_shapes-160x160.py'
COMPARED = ('state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers')
HALF_WRITTEN = '.iter_*.pth.*'
PATIENCE = 300  # seconds to wait for a checkpoint that is being written
# when to kill: while a checkpoint is written, some time after the first new one, or from the start
AIMS = ('write', 'training', 'write', 'start')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--kills', type=int, default=50, help='default: %(default)s')
    parser.add_argument('--iters', type=int, default=300,
                        help='length of the training in iterations (default: %(default)s)')
    parser.add_argument('--longest', type=float, default=6,
                        help='latest random moment in seconds from the start of a run; a quarter '
                        'of it from its first checkpoint (default: %(default)s)')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/kill_resume'),
                        help='is deleted first (default: %(default)s)')
    return parser.parse_args()


def train(work_dir: Path, data_root: Path, iters: int) -> None:
    """Trains, or resumes a training, to its end; what it prints goes to ``output.txt``."""
    work_dir.mkdir(parents=True, exist_ok=True)
    output = os.open(work_dir / 'output.txt', os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(output, stream)
    torch.set_num_threads(1)
    quicken()
    options = {
        'train_dataloader.batch_size': 4,
        'train_dataloader.num_workers': 1,
        'train_dataloader.dataset.data_root': str(data_root),
        'train_cfg.max_iters': iters,
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
    """Starts a training and kills it.

    Args:
        process: Not yet started.
        work_dir: Of the training.
        aim: One of ``AIMS``.
        longest: Latest random moment from the start, in seconds.
        rng: Draws the moment.

    Returns:
        tuple[bool, bool]: Whether it was still running, and whether it left half a checkpoint.
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
    """Returns where two nested structures of tensors and plain data differ."""
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
    """Returns where the last checkpoints of two trainings differ."""
    one, other = (read_checkpoint(last_checkpoint(folder)) for folder in work_dirs)
    return differences(*({key: each[key] for key in COMPARED} | {'iter': each['meta']['iter']}
                         for each in (one, other)))


def main() -> None:
    args = parse_args()
    os.environ['OMP_NUM_THREADS'] = '1'
    shutil.rmtree(args.work_dir, ignore_errors=True)
    straight, killed, data_root = (args.work_dir.resolve() / name
                                   for name in ('straight', 'killed', 'data'))
    subprocess.run([sys.executable, ROOT / 'tools/dataset_converters/make_shapes.py', '--out',
                    data_root, '--num-train', '24', '--num-val', '0', '--size', '96', '--workers',
                    '1'], check=True, env=os.environ | dict(PYTHONPATH=str(ROOT)))

    def training(folder: Path) -> BaseProcess:
        return SERVER.Process(target=train, args=(folder, data_root, args.iters))

    def finish(folder: Path) -> None:
        process = training(folder)
        process.start()
        process.join()
        if process.exitcode:
            sys.exit(f'The training failed: see {folder / "output.txt"}')

    finish(straight)
    rng, left, reached = random.Random(0), [], 0
    while len(left) < args.kills and reached != args.iters:
        aim = AIMS[len(left) % len(AIMS)]
        was_running, half = run_until_killed(training(killed), killed, aim, args.longest, rng)
        left += [half] * was_running
        checkpoint = last_checkpoint(killed)
        reached = 0 if checkpoint is None else read_checkpoint(checkpoint)['meta']['iter']
    finish(killed)
    found = compare([straight, killed])
    broken = sorted(file.name for file in killed.glob('*.broken'))
    print(f'{len(left)} kills, which left {sum(left)} half checkpoints; {len(found)} differences '
          f'in {", ".join(COMPARED)}; {len(broken)} checkpoints that could not be read')
    print(*found[:10], *broken[:10], sep='\n')
    sys.exit(bool(found or broken))


if __name__ == '__main__':
    main()
