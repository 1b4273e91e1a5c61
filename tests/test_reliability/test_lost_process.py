"""A process of a distributed training that is killed: the other ends soon, with a message."""
import os
import signal
import socket
import sys
import time

import pytest
import torch
from reliability_runs import iteration

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason='is about processes on the CPU')
MINUTE = 60


def free_port():
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        return str(server.getsockname()[1])


@pytest.mark.parametrize('victim', [0, 1])
def test_the_other_ends_within_a_minute(repo, make_config, start, tmp_path, victim):
    work_dir, flag = tmp_path / 'work', tmp_path / 'flag'
    config = make_config(iters=100_000,
                         lines=f"custom_hooks = [dict(type='Touch', flag='{flag}', after=3)]\n")
    folders = os.pathsep.join([str(repo), str(repo / 'tests' / 'test_engine')])
    training = start('dist_train.sh', config, 2, '--work-dir', work_dir, PORT=free_port(),
                     PYTHON=sys.executable, PYTHONPATH=folders, OMP_NUM_THREADS='1')
    processes = [tmp_path / f'flag_{rank}' for rank in range(2)]
    training.wait_for(lambda: all(file.exists() and file.read_text() for file in processes))
    numbers = [int(file.read_text()) for file in processes]
    os.kill(numbers[victim], signal.SIGKILL)
    begin = time.monotonic()
    printed = training.ends(within=MINUTE)
    while any(os.path.exists(f'/proc/{number}') for number in numbers):
        assert time.monotonic() < begin + MINUTE
        time.sleep(0.05)
    assert training.exit_code() != 0
    # torchrun may end the other process before it notices
    told = [line for line in printed.splitlines() if f'Process {1 - victim} of 2: ' in line]
    assert all('nother process' in line and '--resume goes on' in line for line in told)
    assert f'rank      : {victim} ' in printed and 'SIGKILL' in printed, printed[-4000:]
    assert printed.strip().splitlines()[-1].startswith('dist_train.sh: a process')
    assert iteration(work_dir) >= 2
