"""A training that is killed and resumed ends as one that is not."""
import os
import re
import subprocess
import sys

import kill_resume
import torch


def test_a_training_that_is_killed_ends_like_one_that_is_not(repo, tmp_path):
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', kill_resume.__file__, '--kills', '3', '--iters', '20',
         '--longest', '0.4', '--work-dir', str(tmp_path / 'runs')],
        env=dict(os.environ, OMP_NUM_THREADS='1'), timeout=400,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout[-4000:]
    kills, half = map(int, re.search(r'(\d+) kills, which left (\d+) half', done.stdout).groups())
    assert kills == 3 and half >= 1  # every other kill is while a checkpoint is written
    assert '0 differences' in done.stdout and '0 checkpoints that could not' in done.stdout


def test_differences_are_found_to_the_last_bit():
    differences = kill_resume.differences
    one = dict(w=torch.tensor([1., 2.]), steps=[dict(lr=0.1), 3])
    assert differences(one, dict(w=torch.tensor([1., 2.]), steps=[dict(lr=0.1), 3])) == []
    other = dict(w=torch.tensor([1., 2. + 2e-7]), steps=[dict(lr=0.1 + 1e-15), 4])
    assert differences(one, other) == ['.w', '.steps[0].lr', '.steps[1]']
    assert differences(one, dict(w=one['w'].double(), steps=one['steps'])) == ['.w']
    assert differences(one, {}) == ['']
