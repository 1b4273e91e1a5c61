"""Runs programs in processes of their own, forked from one that has imported what they need."""
import gc
import json
import multiprocessing
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
from mmengine.config import utils as config_utils
from mmengine.runner import runner
from yapf.yapflib import yapf_api

from mmseg_instbox.utils.openmmlab import LOCATIONS

PATIENCE = 400  # seconds for what takes a few on an idle machine
SERVER = multiprocessing.get_context('forkserver')
# what trainings and evaluations import, optimizers among them
SERVER.set_forkserver_preload([
    'torch._dynamo', 'mmseg.evaluation', 'mmseg_instbox.engine.training',
    *(f'mmseg_instbox.{package}' for package in sorted({*LOCATIONS.values()}))])


def quicken() -> None:
    """Makes short runs of this process, which has imported all that it needs, take less time.

    MMEngine formats the config for each log and each checkpoint, for which it also asks git, and
    collects garbage for each data set: that passes over all objects that are there by now. For each
    config that is inherited from mmseg it reads fifty files, which list mmseg's models.
    """
    gc.freeze()
    yapf_api.FormatCode = lambda text, **_: (text, True)
    runner.collect_env, runner.get_git_hash = dict, str
    config_utils.load = cache(config_utils.load)


def free_port() -> str:
    """A free port of this machine."""
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        return str(server.getsockname()[1])


def run_program(script: str, arguments: list[str], output: str, env: dict[str, str]) -> None:
    """Run a Python program as the main one of this process; what it prints goes to a file."""
    os.setsid()
    handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(handle, stream)
    torch.set_num_threads(1)
    quicken()
    os.environ.update(env)
    sys.argv = [script, *arguments]
    runpy.run_path(script, run_name='__main__')


class Program:
    """A program that runs, and what it prints.

    Args:
        script: A Python program, run in a process of the fork server, or a shell script.
        output: File for what it prints.
        arguments: Of the program.
        variables: Of the environment, beside those of this process.
    """

    def __init__(self, script: Path, output: Path, *arguments: object, **variables: str) -> None:
        words, self.output = list(map(str, arguments)), output
        env = os.environ | variables
        if script.suffix == '.py':
            self.process = SERVER.Process(target=run_program,
                                          args=(str(script), words, str(output), env))
            self.process.start()
            return
        with output.open('a') as stream:
            self.process = subprocess.Popen(
                ['bash', str(script), *words], env=env, start_new_session=True, stdout=stream,
                stderr=subprocess.STDOUT)

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

    def fails(self) -> str:
        """The last line of its output, an error message; it must fail, without a traceback."""
        printed = self.ends()
        assert self.exit_code() == 1, f'exit code {self.exit_code()}:\n{printed[-6000:]}'
        assert 'Traceback' not in printed, printed[printed.index('Traceback') - 500:][:6000]
        return printed.strip().splitlines()[-1]

    def succeeds(self) -> str:
        """What it printed, as it ends well."""
        printed = self.ends()
        assert self.exit_code() == 0, printed[-6000:]
        return printed

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


# reads a program a line and answers its exit code; a fork that runs one ends as any Python does
FORKS = """
import contextlib, gc, importlib, json, os, signal, sys
for name in sys.argv[1:]:
    with contextlib.suppress(ImportError):
        importlib.import_module(name)
gc.freeze()
for line in sys.stdin:
    program = json.loads(line)
    child = os.fork()
    if not child:
        break
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
else:
    sys.exit()
signal.alarm(program['patience'])
os.environ.update(program['env'])
for stream, name in enumerate([os.devnull, *program['output']]):
    os.dup2(os.open(name, os.O_RDWR | os.O_CREAT), stream)
sys.argv = ['-c', *program['arguments']]
exec(program['code'], {'__name__': '__main__'})
"""


class FreshProcesses:
    """Runs code in processes that have imported nothing of OpenMMLab and of this package.

    They are forked from one that has imported ``LIBRARIES``, which takes most of the time of a
    start.

    Args:
        repo: The root of the repository.
        folder: For what they print.
    """
    LIBRARIES = ('torch', 'torch.distributed.optim', 'cv2', 'matplotlib.pyplot', 'scipy.ndimage',
                 'scipy.optimize', 'scipy.stats', 'imgaug', 'pycocotools.mask')

    def __init__(self, repo: Path, folder: Path) -> None:
        self.output = [str(folder / name) for name in ('stdout', 'stderr')]
        self.process = subprocess.Popen(
            [sys.executable, '-c', FORKS, *self.LIBRARIES], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True,
            env=dict(os.environ, PYTHONPATH=str(repo), OMP_NUM_THREADS='1'))

    def run(self, code: str, *arguments: object, **variables: str) -> subprocess.CompletedProcess:
        """Run code with arguments to its end; exit code and output, as of ``subprocess.run``."""
        for name in self.output:
            Path(name).write_text('')
        program = dict(code=code, arguments=list(map(str, arguments)), env=variables,
                       output=self.output, patience=PATIENCE)
        print(json.dumps(program), file=self.process.stdin, flush=True)
        return subprocess.CompletedProcess(
            code, int(self.process.stdout.readline()),
            *(Path(name).read_text() for name in self.output))


def write_command(folder: Path) -> Path:
    """Writes the command ``instbox`` as a Python program."""
    file = folder / 'instbox.py'
    file.write_text('from mmseg_instbox.cli.main import main\nmain()\n')
    return file


def ranks(number: int) -> list[dict[str, str]]:
    """The variables by which each of some processes finds the others, as torchrun sets them."""
    place = dict(WORLD_SIZE=str(number), MASTER_ADDR='127.0.0.1', MASTER_PORT=free_port())
    return [dict(place, RANK=str(rank), LOCAL_RANK=str(rank)) for rank in range(number)]


def settings_apart(folder: Path) -> list[str]:
    """Settings that keep a run quiet, and its log and pictures apart from earlier runs' here."""
    return ['log_level=ERROR', f'experiment_name={folder.name}']
