"""Trainings in processes of their own, to which something happens."""
import json
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

PATIENCE = 400  # seconds for what takes a few on an idle machine
SERVER = multiprocessing.get_context('forkserver')  # one that has imported what a training needs
SERVER.set_forkserver_preload([f'mmseg_instbox.{room}' for room in (
    'datasets', 'engine', 'evaluation', 'models', 'visualization')])
LINES = """
_base_ = '{base}'
custom_imports = dict(imports=['mmseg_instbox', 'recorded_runs', 'faults'])
train_dataloader = dict(
    num_workers={workers},
    persistent_workers={workers} > 0,
    sampler=dict(type='SeededInfiniteSampler'),
    dataset=dict(pipeline=[
        dict(type='LoadInstImage'),
        dict(type='LoadInstAnnotations'),
        *{transforms},
        dict(type='PackInstInputs')]))
val_dataloader = val_cfg = val_evaluator = None
train_cfg = dict(max_iters={iters}, val_interval={iters})
default_hooks = dict(checkpoint=dict(interval=1, max_keep_ckpts=1, save_best=None))
randomness = dict(seed=0)
"""


def config_text(base: Path, iters: int, workers: int, transforms: list[dict]) -> str:
    """A config without validation that writes a checkpoint each iteration."""
    return LINES.format(base=base, iters=iters, workers=workers, transforms=json.dumps(transforms))


def run_program(script: str, arguments: list[str], output: str) -> None:
    """Run a Python program as the main one of this process; what it prints goes to a file."""
    os.setsid()
    handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(handle, stream)
    torch.set_num_threads(1)
    sys.argv = [script, *arguments]
    runpy.run_path(script, run_name='__main__')


class Program:
    """A program that runs, and what it prints.

    Args:
        script: A Python program, run in a process of a fork server, or a shell script.
        output: File for what it prints.
        arguments: Of the program.
        variables: Of the environment, for a shell script.
    """

    def __init__(self, script: Path, output: Path, *arguments: object, **variables: str) -> None:
        words, self.output = list(map(str, arguments)), output
        if script.suffix == '.py':
            self.process = SERVER.Process(target=run_program,
                                          args=(str(script), words, str(output)))
            self.process.start()
            return
        with output.open('a') as stream:
            self.process = subprocess.Popen(
                ['bash', str(script), *words], env=os.environ | variables, start_new_session=True,
                stdout=stream, stderr=subprocess.STDOUT)

    def exit_code(self) -> int | None:
        """None while it runs."""
        if isinstance(self.process, subprocess.Popen):
            return self.process.poll()
        return self.process.exitcode

    def wait_for(self, condition: Callable[[], object]) -> None:
        """Wait until something has come true while it runs."""
        end = time.monotonic() + PATIENCE
        while not condition():
            assert self.exit_code() is None, self.output.read_text()[-4000:]
            assert time.monotonic() < end, 'waited too long'
            time.sleep(0.01)

    def ends(self, within: float = PATIENCE) -> str:
        """What it printed, once it has ended and no process of its group is left."""
        end = time.monotonic() + within
        while self.exit_code() is None or self._is_group_there():
            assert time.monotonic() < end, f'hangs:\n{self.output.read_text()[-4000:]}'
            time.sleep(0.02)
        return self.output.read_text()

    def fails(self, within: float = PATIENCE) -> str:
        """The last line of what it printed, as it fails with a sentence and no traceback."""
        printed = self.ends(within)
        assert self.exit_code() == 1, f'exit code {self.exit_code()}:\n{printed[-6000:]}'
        assert 'Traceback' not in printed, printed[printed.index('Traceback') - 500:][:6000]
        return printed.strip().splitlines()[-1]

    def succeeds(self) -> None:
        printed = self.ends()
        assert self.exit_code() == 0, printed[-6000:]

    def _is_group_there(self) -> bool:
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def stop(self) -> None:
        """Kill what is left of it."""
        if self._is_group_there():
            os.killpg(self.process.pid, signal.SIGKILL)


def iteration(work_dir: Path) -> int:
    """The iteration of the only checkpoint in a work directory, which must be whole."""
    file, = work_dir.glob('iter_*.pth')
    checkpoint = torch.load(file, map_location='cpu', weights_only=True)
    assert checkpoint['state_dict'] and checkpoint['optimizer']
    return checkpoint['meta']['iter']
