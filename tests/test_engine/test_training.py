import signal
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper, build_optim_wrapper
from torch import nn

from mmseg_instbox.engine import run_training, training, training_config
from mmseg_instbox.engine.training import add_safeguards, set_resume
from mmseg_instbox.errors import TrainingError


def test_resume_from_nothing_the_last_or_a_file(tmp_path):
    checkpoint = tmp_path / 'iter_4.pth'

    def resumed(resume):
        cfg = Config(dict(resume=False, load_from='weights.pth', work_dir=str(tmp_path)))
        set_resume(cfg, resume)
        return cfg.resume, cfg.load_from

    assert resumed(None) == (False, 'weights.pth')
    assert resumed('auto') == (False, 'weights.pth')  # nothing to go on from yet
    torch.save(dict(state_dict={}, meta={}), checkpoint)
    assert resumed('auto') == (True, str(checkpoint))
    assert resumed(str(checkpoint)) == (True, str(checkpoint))


def test_a_config_may_ask_to_resume(tmp_path):
    cfg = Config(dict(resume=True, load_from=None, work_dir=str(tmp_path)))
    set_resume(cfg, None)
    assert (cfg.resume, cfg.load_from) == (False, None)
    torch.save(dict(state_dict={}, meta={}), tmp_path / 'iter_4.pth')
    cfg.resume = True
    set_resume(cfg, None)
    assert (cfg.resume, cfg.load_from) == (True, str(tmp_path / 'iter_4.pth'))


def test_resuming_without_a_checkpoint_is_reported(tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(MMLogger, '_instance_dict', {})
    MMLogger.get_instance('no checkpoint')  # writes to the stream as it is now
    set_resume(Config(dict(work_dir=str(tmp_path))), 'auto')
    printed = ''.join(capfd.readouterr()).strip()
    assert f'--resume: there is no checkpoint in {tmp_path}' in printed
    assert len(printed.splitlines()) == 1


def test_every_training_has_safeguards(tiny_config, tmp_path):
    file = tmp_path / 'own.py'
    hooks = "default_hooks = dict(_delete_=True, logger=dict(type='LoggerHook'))"
    file.write_text(f"_base_ = '{tiny_config}'\n{hooks}\n")
    cfg = training_config(str(file))
    assert cfg.default_hooks.plain_checkpoint == dict(type='PlainCheckpointHook')
    assert cfg.default_hooks.loss_guard == dict(type='LossGuardHook')


def test_an_option_trains_a_config_of_bfloat16_in_32_bits(tiny_config, tmp_path):
    file = tmp_path / 'own.py'
    mixed = "optim_wrapper = dict(type='AmpOptimWrapper', dtype='bfloat16')"
    file.write_text(f"_base_ = '{tiny_config}'\n{mixed}\n")
    cfg = training_config(str(file), cfg_options={'optim_wrapper.type': 'OptimWrapper'})
    wrapper = build_optim_wrapper(nn.Linear(1, 1), cfg.optim_wrapper)
    assert type(wrapper) is OptimWrapper


def test_safeguards_of_the_config_stay():
    own = Config(dict(default_hooks=dict(plain_checkpoint=dict(type='Mine')),
                      train_dataloader=dict(num_workers=1, timeout=0),
                      val_dataloader=dict(num_workers=1)))
    add_safeguards(own)
    assert own.default_hooks.plain_checkpoint.type == 'Mine'
    assert own.train_dataloader.timeout == 0 and own.val_dataloader.timeout > 0


def test_a_gpu_without_enough_memory_is_reported(tmp_path, monkeypatch):
    def train():
        raise torch.cuda.OutOfMemoryError(
            'CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 8 GiB.')

    runner = SimpleNamespace(train=train, train_loop=None)
    monkeypatch.setattr(training, 'start_runner', lambda *_: runner)
    with pytest.raises(TrainingError, match=r'2.00 GiB\): lower train_dataloader.batch_size'):
        run_training(Config(dict(work_dir=str(tmp_path))))


@pytest.mark.parametrize('error', [ConnectionResetError(104, 'Connection reset by peer'),
                                   EOFError()])
def test_a_lost_connection_waits_for_the_signal_of_a_killed_worker(error, tmp_path, monkeypatch):
    def killed(*_):
        raise RuntimeError('DataLoader worker (pid 7) is killed by signal: Killed.')

    def train():
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        raise error

    runner = SimpleNamespace(train=train, train_loop=None)
    monkeypatch.setattr(training, 'start_runner', lambda *_: runner)
    before = signal.signal(signal.SIGALRM, killed)
    try:
        with pytest.raises(TrainingError, match=r'A DataLoader worker \(pid 7\)'):
            run_training(Config(dict(work_dir=str(tmp_path))))
    finally:
        signal.signal(signal.SIGALRM, before)
