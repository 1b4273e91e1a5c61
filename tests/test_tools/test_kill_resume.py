import importlib.util
import json
import os
import subprocess
import sys

import pytest
import torch


@pytest.fixture(scope='module')
def script(repo):
    return repo / 'tools' / 'benchmarks' / 'kill_resume.py'


@pytest.fixture(scope='module')
def tool(script):
    """The script as a module."""
    sys.path.insert(0, str(script.parent))  # what it shares with the other benchmarks
    spec = importlib.util.spec_from_file_location('kill_resume', script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_training_that_is_killed_ends_like_one_that_is_not(script, repo, tmp_path):
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', str(script), '--kills', '3', '--iters', '20',
         '--longest', '0.4', '--work-dir', str(tmp_path / 'runs'), '--out',
         str(tmp_path / 'figures.json')],
        env=dict(os.environ, PYTHONPATH=str(repo), OMP_NUM_THREADS='1'), timeout=400,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout[-4000:]
    figures = json.loads((tmp_path / 'figures.json').read_text())
    assert [goal['value'] for goal in figures['goals']] == [0, 0]
    *rows, total = figures['rows']
    assert [row['times'] for row in rows] == [2, 1] and total['times'] == 3
    assert rows[0]['half_a_checkpoint_left'] >= 1


def test_differences_are_found_to_the_last_bit(tool):
    one = dict(w=torch.tensor([1., 2.]), steps=[dict(lr=0.1), 3])
    assert tool.differences(one, dict(w=torch.tensor([1., 2.]), steps=[dict(lr=0.1), 3])) == []
    other = dict(w=torch.tensor([1., 2. + 2e-7]), steps=[dict(lr=0.1 + 1e-15), 4])
    assert tool.differences(one, other) == ['.w', '.steps[0].lr', '.steps[1]']
    assert tool.differences(one, dict(w=one['w'].double(), steps=one['steps'])) == ['.w']
    assert tool.differences(one, {}) == ['']
