"""A data loader's worker that is killed or hangs ends the run with a sentence."""
import pytest
from reliability_runs import iteration

LINES = """
custom_hooks = [dict(type='Touch', flag='{flag}', after=2)]
train_dataloader['timeout'] = {timeout}
"""
KILLED = 'A DataLoader worker (pid'  # or pid(s): torch notices it in two ways
HANGS = "No data came from the data loader's workers for "


@pytest.mark.parametrize('what, timeout, sentence', [
    ('killed', 0, KILLED), ('hangs', 4, HANGS)])
def test_the_run_ends_and_goes_on_later(make_config, start, tmp_path, what, timeout, sentence):
    flag, work_dir = tmp_path / 'flag', tmp_path / 'work'
    config = make_config(iters=12, workers=1, lines=LINES.format(flag=flag, timeout=timeout),
                         transforms=[dict(type='FaultyWorker', flag=str(flag), what=what)])
    last = start('train.py', config, '--work-dir', work_dir).fails()
    assert sentence in last and '--resume goes on from it' in last
    reached = iteration(work_dir)
    assert 1 <= reached < 12 and f'iter_{reached}.pth' in last
    assert last.split(': ', 1)[1] in next(work_dir.glob('*/*.log')).read_text()
    if what == 'killed':
        start('train.py', config, '--work-dir', work_dir, '--resume', '--cfg-options',
              f'custom_hooks.0.flag={tmp_path / "other"}',
              f'train_dataloader.dataset.pipeline.2.flag={tmp_path / "none"}').succeeds()
        assert iteration(work_dir) == 12


def test_code_that_makes_another_error_of_a_killed_worker_does_not_hide_it(make_config, start,
                                                                           tmp_path):
    config = make_config(workers=1, lines="custom_hooks = [dict(type='HidesErrors', after=2)]\n")
    last = start('train.py', config, '--work-dir', tmp_path / 'work').fails()
    assert KILLED in last and '--resume goes on from it' in last


def test_a_config_without_a_timeout_gets_one(make_config):
    from mmseg_instbox.engine import training_config
    assert training_config(str(make_config(workers=1))).train_dataloader.timeout > 0
    assert 'timeout' not in training_config(str(make_config(workers=0))).train_dataloader
    own = make_config(workers=1, lines="train_dataloader['timeout'] = 0\n")
    assert training_config(str(own)).train_dataloader.timeout == 0
