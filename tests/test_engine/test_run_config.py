import logging
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import CheckpointHook
from mmengine.optim import build_optim_wrapper

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


def test_mixed_precision_is_bfloat16_on_a_cpu(on_cpu):
    accumulated = dict(type='AmpOptimWrapper', dtype='float16', accumulative_counts=2)
    cfg = Config(dict(model=dict(), optim_wrapper=accumulated))
    adapt_to_cpu(cfg)
    assert cfg.optim_wrapper == dict(type='CPUAmpOptimWrapper', accumulative_counts=2)


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


def test_the_terminal_has_no_line_for_each_frozen_parameter(monkeypatch):
    shown = []
    monkeypatch.setattr('mmengine.optim.optimizer.default_constructor.print_log',
                        lambda message, *_, **__: shown.append(message))
    frozen = torch.nn.Linear(1, 1).requires_grad_(False)
    build_optim_wrapper(torch.nn.Sequential(frozen, torch.nn.Linear(1, 1)), dict(
        optimizer=dict(type='SGD', lr=1, weight_decay=0), paramwise_cfg=dict(norm_decay_mult=0.)))
    records = [logging.makeLogRecord(dict(msg=message, pathname='x')) for message in shown]
    assert len(records) > 1 and not any(map(module._is_brief, records))


def best(save_best, *metrics, **hook):
    cfg = Config(dict(val_evaluator=[dict(type='InstBoxMetric', prefix='voc'), *metrics],
                      default_hooks=dict(checkpoint=dict(type='CheckpointHook', save_best=save_best,
                                                         **hook))))
    module.check_save_best(cfg)
    return cfg.default_hooks.checkpoint


@pytest.mark.parametrize('name', ['voc/APr_0.5', 'auto', ['voc/mIoU', 'PQ_things'], None])
def test_the_best_checkpoint_is_chosen_by_a_figure_of_the_metrics(name):
    hook = best(name, dict(type='InstPanopticMetric'))
    assert hook.get('rule') == (None if name is None else 'greater')
    CheckpointHook(**{key: value for key, value in hook.items() if key != 'type'})


@pytest.mark.parametrize('name', ['APr_0.5', 'voc/APr_05', ['voc/mIoU', 'voc/APr_0.55']])
def test_another_figure_is_refused_at_start(name):
    with pytest.raises(ValueError, match=r"checkpoint.save_best is '.*report voc/mIoU, voc/APr_0.5,"
                                         r'.*Did you mean .voc/APr_0.5'):
        best(name)


def test_figures_of_metrics_of_others_are_not_known():
    assert best('anything', dict(type='IoUMetric'), rule='less').rule == 'less'
    file = Config(dict(default_hooks=dict(checkpoint=dict(save_best='mIoU'))))
    module.check_save_best(file)
