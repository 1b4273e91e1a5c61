"""Processes of a distributed run end with their exit code, whatever Gloo's threads still hold."""
import signal

import pytest

from mmseg_instbox.utils import distributed_exit

# The first of two processes leaves an operation to Gloo's thread, which ends it while the main
# thread computes without a break (the second takes part only then) and so has to wait for Python's
# lock to let go of the tensor; it still waits when the process ends. With the kind 'handler' there
# is one process, in a group of its own.
PROGRAM = """
import atexit, contextlib, json, os, pathlib, sys, time
import torch
import torch.distributed as dist
from mmseg_instbox.utils import distributed_exit

folder, kind, end = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
first = os.getpid()
rank = 0 if kind == 'handler' or os.fork() else 1
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
        while os.getppid() == first:
            time.sleep(0.01)
        os._exit(0)
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


@pytest.fixture
def run_first(run_fresh, tmp_path):
    """A function that gives exit code and output of the first process; it is the only one for the
    kind 'handler'."""
    return lambda kind, end='falls off': run_fresh(PROGRAM, tmp_path, kind, end,
                                                   GLOO_SOCKET_IFNAME='lo')


def test_a_process_that_is_done_does_not_abort(run_first):
    assert run_first('ours').returncode == 0


def test_python_alone_aborts(run_first):
    code = run_first('plain').returncode
    if code == 0:
        pytest.skip('this PyTorch needs no help')
    assert code == -signal.SIGABRT


@pytest.mark.parametrize('end, code', [('null', 0), ('3', 3), ('"a sentence"', 1),
                                       ('an exception', 1)])
def test_exit_code_and_handlers_stay(run_first, end, code):
    done = run_first('handler', end)
    assert done.returncode == code
    assert done.stdout == 'a handler\n'
    assert ('a sentence' in done.stderr) == ('sentence' in end)
    assert ('ValueError' in done.stderr) == (end == 'an exception')


@pytest.mark.parametrize('end', [SystemExit(3), ValueError('passes')])
def test_exceptions_pass(end):
    with pytest.raises(type(end)), distributed_exit():
        raise end
