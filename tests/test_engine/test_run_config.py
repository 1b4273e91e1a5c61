import logging
from pathlib import Path

import pytest
from mmengine.config import Config

from mmseg_instbox.engine import adapt_to_cpu
from mmseg_instbox.engine import run_config as module


@pytest.fixture
def on_cpu(monkeypatch):
    monkeypatch.setattr(module, 'get_device', lambda: 'cpu')


@pytest.fixture
def on_gpu(monkeypatch):
    monkeypatch.setattr(module, 'get_device', lambda: 'cuda')


def test_work_dir_comes_from_argument_config_or_file_name(tmp_path):
    file = tmp_path / 'instbox_tiny.py'
    file.write_text('a = 1\n')
    cfg = module.read_run_config(str(file), launcher='pytorch')
    assert (cfg.work_dir, cfg.launcher) == ('work_dirs/instbox_tiny', 'pytorch')
    file.write_text("work_dir = 'from_config'\n")
    assert module.read_run_config(str(file)).work_dir == 'from_config'
    assert module.read_run_config(str(file), 'from_argument').work_dir == 'from_argument'


MODEL = dict(
    norm_cfg=dict(type='SyncBN', requires_grad=True),
    heads=[dict(norm_cfg=dict(type='SyncBN')), dict(norm_cfg=dict(type='GN', num_groups=4))])


def test_synchronized_batch_norm_becomes_plain_on_a_cpu(on_cpu):
    cfg = Config(dict(model=MODEL, launcher='none'))
    adapt_to_cpu(cfg)
    assert cfg.model.norm_cfg == dict(type='BN', requires_grad=True)
    assert [head.norm_cfg.type for head in cfg.model.heads] == ['BN', 'GN']
    assert 'model_wrapper_cfg' not in cfg


def test_a_gpu_changes_nothing(on_gpu):
    cfg = Config(dict(model=MODEL, launcher='pytorch'))
    adapt_to_cpu(cfg)
    assert cfg.to_dict() == dict(model=MODEL, launcher='pytorch')


def test_slurm_without_a_gpu_is_refused(on_cpu):
    with pytest.raises(ValueError, match='--launcher slurm needs GPUs'):
        adapt_to_cpu(Config(dict(model=dict(), launcher='slurm')))


def test_the_terminal_leaves_out_long_reports_of_the_runner_only():
    def record(file, lines):
        return logging.LogRecord('x', logging.INFO, file, 1, 'line\n' * lines, (), None)

    runner = str(Path('mmengine') / 'runner' / 'runner.py')
    assert not module._is_brief(record(runner, 300))
    assert module._is_brief(record(runner, 1))
    assert module._is_brief(record('mmengine/logging/logger.py', 30))  # a table of metrics
