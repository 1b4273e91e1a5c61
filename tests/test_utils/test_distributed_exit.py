"""Processes of a distributed run end with their exit code, whatever Gloo's threads still hold."""
import os
import signal
import subprocess
import sys

import pytest

from mmseg_instbox.utils import distributed_exit

# The first of two processes leaves an operation to Gloo's thread, which ends it while the main
# thread computes without a break (the second takes part only then) and so has to wait for Python's
# lock to let go of the tensor; it still waits when the process ends. With the kind 'handler' there
# is one process, in a group of its own.
PROGRAM = """
import atexit, contextlib, json, pathlib, sys, time
import torch
import torch.distributed as dist
from mmseg_instbox.utils import distributed_exit

rank, folder, kind, end = int(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3], sys.argv[4]
world_size = 1 if kind == 'handler' else 2
computing = folder / 'computing'

with contextlib.nullcontext() if kind == 'plain' else distributed_exit():
    dist.init_process_group('gloo', init_method=f'file://{folder}/store', rank=rank,
                            world_size=world_size)
    dist.barrier()
    ones = torch.ones(1000)
    if rank == 1:
        while not computing.exists():
            time.sleep(0.01)
        dist.all_reduce(ones)
        time.sleep(60)
    if kind == 'handler':
        atexit.register(print, 'a handler')
    else:
        sys.setswitchinterval(1000)
        dist.all_reduce(ones, async_op=True)
        computing.touch()
        begin = time.monotonic()
        while time.monotonic() < begin + 1:
            pass
    if end == 'an exception':
        raise ValueError(end)
    if end != 'falls off':
        sys.exit(json.loads(end))
"""


def run_first(repo, folder, kind, end='falls off'):
    """Exit code and output of the first process; it is the only one for the kind 'handler'."""
    start = [[sys.executable, '-c', PROGRAM, str(rank), str(folder), kind, end]
             for rank in range(2)]
    env = dict(os.environ, PYTHONPATH=str(repo), OMP_NUM_THREADS='1', GLOO_SOCKET_IFNAME='lo')
    others = [subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
              for command in start[1:] if kind != 'handler']
    try:
        return subprocess.run(start[0], env=env, capture_output=True, text=True, timeout=120)
    finally:
        for each in others:
            each.kill()
            each.wait()


def test_a_process_that_is_done_does_not_abort(repo, tmp_path):
    assert run_first(repo, tmp_path, 'ours').returncode == 0


def test_python_alone_aborts(repo, tmp_path):
    code = run_first(repo, tmp_path, 'plain').returncode
    if code == 0:
        pytest.skip('this PyTorch needs no help')
    assert code == -signal.SIGABRT


@pytest.mark.parametrize('end, code', [('null', 0), ('3', 3), ('"a sentence"', 1),
                                       ('an exception', 1)])
def test_exit_code_and_handlers_stay(repo, tmp_path, end, code):
    done = run_first(repo, tmp_path, 'handler', end)
    assert done.returncode == code
    assert done.stdout == 'a handler\n'
    assert ('a sentence' in done.stderr) == ('sentence' in end)
    assert ('ValueError' in done.stderr) == (end == 'an exception')


@pytest.mark.parametrize('end', [SystemExit(3), ValueError('passes')])
def test_exceptions_pass(end):
    with pytest.raises(type(end)), distributed_exit():
        raise end
