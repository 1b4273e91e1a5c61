"""A process of a distributed training that is killed: the other ends soon, with a message."""
import os
import signal
import sys
import time

import pytest
import torch
from programs import free_port, ranks
from reliability_runs import iteration

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason='is about processes on the CPU')
MINUTE = 60
MESSAGE = 'Another process of this training ended or cannot be reached'


@pytest.fixture
def arguments(make_config, tmp_path):
    """Of a long training; each process writes its number to a file ``flag_RANK``."""
    lines = f"custom_hooks = [dict(type='Touch', flag='{tmp_path / 'flag'}', after=3)]\n"
    return [make_config(iters=100_000, lines=lines), '--work-dir', tmp_path / 'work']


def numbers(training, folder):
    """The numbers of the two processes, once they train."""
    files = [folder / f'flag_{rank}' for rank in range(2)]
    training.wait_for(lambda: all(file.exists() and file.read_text() for file in files))
    return [int(file.read_text()) for file in files]


@pytest.mark.parametrize('victim', [0, 1])
def test_the_other_says_why_it_ends(arguments, start, tmp_path, victim):
    processes = [start('train.py', *arguments, '--launcher', 'pytorch', **variables)
                 for variables in ranks(2)]
    os.kill(numbers(processes[0], tmp_path)[victim], signal.SIGKILL)
    printed = processes[1 - victim].ends(within=MINUTE)
    assert processes[1 - victim].exit_code() == 1
    found = [line for line in printed.splitlines()
             if f'Process {1 - victim} of 2: {MESSAGE}' in line]
    assert found and all('--resume goes on' in line for line in found), printed[-4000:]
    assert iteration(tmp_path / 'work') >= 2


def test_the_launcher_ends_too(repo, arguments, start, tmp_path):
    folders = [repo, repo / 'tests', repo / 'tests' / 'test_engine']
    config, *more = arguments
    training = start('dist_train.sh', config, 2, *more, PORT=free_port(), PYTHON=sys.executable,
                     PYTHONPATH=os.pathsep.join(map(str, folders)), OMP_NUM_THREADS='1')
    there = numbers(training, tmp_path)
    os.kill(there[1], signal.SIGKILL)
    begin = time.monotonic()
    printed = training.ends(within=MINUTE)
    while any(os.path.exists(f'/proc/{number}') for number in there):
        assert time.monotonic() < begin + MINUTE
        time.sleep(0.05)
    assert training.exit_code() != 0
    assert 'rank      : 1 ' in printed and 'SIGKILL' in printed, printed[-4000:]
    assert printed.strip().splitlines()[-1].startswith('dist_train.sh: a process')
    assert iteration(tmp_path / 'work') >= 2
