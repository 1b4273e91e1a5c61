"""What the shell scripts start, seen by a program that stands in for Python and for srun."""
import os
import subprocess
from pathlib import Path

import pytest

ECHO = '#!/bin/sh\nprintf "%s\\n" "$PYTHONPATH" "$(basename "$0")" "$@"\n'


@pytest.fixture
def start(repo, tmp_path):
    """A function that runs a script of ``tools/``; gives its exit code and its lines of output."""
    for name in ('python', 'srun'):
        (tmp_path / name).write_text(ECHO)
        (tmp_path / name).chmod(0o755)
    hidden = ('PYTHON', 'PYTHONPATH', 'NNODES', 'NODE_RANK', 'MASTER_ADDR', 'PORT', 'GPUS')
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    environment['PATH'] = f'{tmp_path}{os.pathsep}{os.environ["PATH"]}'

    def run(script, *arguments, **variables):
        done = subprocess.run(['bash', repo / 'tools' / script, *arguments], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
                              env=environment | variables)
        return done.returncode, done.stdout.splitlines()

    return run


def tool(repo: Path, name: str) -> str:
    return str(repo / 'tools' / name)


def test_one_machine_with_eight_gpus(repo, start):
    code, lines = start('dist_train.sh', 'a config.py', '8', '--cfg-options', 'a=[1, 2]')
    assert code == 0
    assert Path(lines[0]).resolve() == repo  # the package is found without being installed
    assert lines[1:] == [
        'python', '-m', 'torch.distributed.run', '--nnodes=1', '--node_rank=0',
        '--master_addr=127.0.0.1', '--master_port=29500', '--nproc_per_node=8',
        tool(repo, 'train.py'), 'a config.py', '--launcher', 'pytorch', '--cfg-options', 'a=[1, 2]'
    ]


def test_the_second_of_two_nodes(repo, start):
    nodes = dict(NNODES='2', NODE_RANK='1', MASTER_ADDR='10.0.0.1', PORT='12345')
    for script, files in (('train', ['config.py']), ('test', ['config.py', 'weights.pth'])):
        code, lines = start(f'dist_{script}.sh', *files, '4', **nodes)
        assert code == 0
        assert lines[4:] == [
            '--nnodes=2', '--node_rank=1', '--master_addr=10.0.0.1', '--master_port=12345',
            '--nproc_per_node=4', tool(repo, f'{script}.py'), *files, '--launcher', 'pytorch'
        ]


@pytest.mark.parametrize('gpus, per_node', [('16', '8'), ('4', '4')])
def test_slurm(repo, start, gpus, per_node):
    for script, files in (('train', ['config.py']), ('test', ['config.py', 'weights.pth'])):
        code, lines = start(f'slurm_{script}.sh', 'part', 'my job', *files, '--work-dir', 'a b',
                            GPUS=gpus, SRUN_ARGS='--time=8:00 --qos=low', PYTHONPATH='/mine')
        assert code == 0
        assert lines[0].endswith(':/mine')
        assert lines[1:] == [
            'srun', '-p', 'part', '--job-name=my job', f'--gres=gpu:{per_node}', f'--ntasks={gpus}',
            f'--ntasks-per-node={per_node}', '--cpus-per-task=5', '--kill-on-bad-exit=1',
            '--time=8:00', '--qos=low', 'python', '-u', tool(repo, f'{script}.py'), *files,
            '--launcher', 'slurm', '--work-dir', 'a b'
        ]


@pytest.mark.parametrize('script, count', [('dist_train.sh', 1), ('dist_test.sh', 2),
                                           ('slurm_train.sh', 2), ('slurm_test.sh', 3)])
def test_too_few_arguments_are_answered_with_the_usage(start, script, count):
    code, lines = start(script, *['word'] * count)
    assert code == 2 and len(lines) == 1
    assert lines[0].startswith('usage: ') and script in lines[0]
    assert start(script, *['word'] * (count + 1))[0] == 0
