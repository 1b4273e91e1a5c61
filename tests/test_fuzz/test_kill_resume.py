"""A training that is killed and resumed ends as one that is not."""
import re

import kill_resume
import pytest
import torch


def test_a_training_that_is_killed_ends_like_one_that_is_not(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    monkeypatch.setattr('sys.argv', ['kill_resume.py', '--kills', '3', '--iters', '16', '--longest',
                                     '0.4', '--work-dir', str(tmp_path / 'runs')])
    with pytest.raises(SystemExit) as end:
        kill_resume.main()
    printed = capsys.readouterr().out
    assert not end.value.code, printed
    kills, half = map(int, re.search(r'(\d+) kills, which left (\d+) half', printed).groups())
    assert kills == 3 and half >= 1  # every other kill is while a checkpoint is written
    assert '0 differences' in printed and '0 checkpoints that could not' in printed


def test_differences_are_found_to_the_last_bit():
    differences = kill_resume.differences
    one = dict(w=torch.tensor([1., 2.]), steps=[dict(lr=0.1), 3])
    assert differences(one, dict(w=torch.tensor([1., 2.]), steps=[dict(lr=0.1), 3])) == []
    other = dict(w=torch.tensor([1., 2. + 2e-7]), steps=[dict(lr=0.1 + 1e-15), 4])
    assert differences(one, other) == ['.w', '.steps[0].lr', '.steps[1]']
    assert differences(one, dict(w=one['w'].double(), steps=one['steps'])) == ['.w']
    assert differences(one, {}) == ['']
