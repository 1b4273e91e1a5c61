"""Runs of the tools read checkpoints as data, unless they are told to trust them."""
import pytest
import torch
from mmengine.logging import HistoryBuffer

from mmseg_instbox.engine import testing_config as config_for_testing
from mmseg_instbox.engine import training_config


@pytest.fixture
def pickled(tmp_path):
    """A checkpoint as MMEngine writes it: with the histories of its logger."""
    hub = dict(log_scalars=dict(loss=HistoryBuffer([1.], [1])), runtime_info={}, resumed_keys={})
    torch.save(dict(meta=dict(iter=2), state_dict={}, message_hub=hub), tmp_path / 'iter_2.pth')
    return str(tmp_path / 'iter_2.pth')


def test_training_and_testing_refuse_pickled_objects(tiny_config, pickled, tmp_path):
    (tmp_path / 'last_checkpoint').write_text(pickled)
    for settings in (dict(resume=pickled), dict(resume='auto'),
                     dict(cfg_options={'load_from': pickled})):
        settings['work_dir'] = str(tmp_path)
        with pytest.raises(ValueError, match='HistoryBuffer.*--allow-pickle'):
            training_config(str(tiny_config), **settings)
        training_config(str(tiny_config), **settings, allow_pickle=True)
    with pytest.raises(ValueError, match='HistoryBuffer.*--allow-pickle'):
        config_for_testing(str(tiny_config), pickled)
    config_for_testing(str(tiny_config), pickled, allow_pickle=True)


def test_a_missing_checkpoint_is_named(tiny_config):
    with pytest.raises(FileNotFoundError, match="no checkpoint 'gone.pth'"):
        training_config(str(tiny_config), resume='gone.pth')
    with pytest.raises(FileNotFoundError, match="no checkpoint 'gone.pth'"):
        config_for_testing(str(tiny_config), 'gone.pth')


def test_every_training_writes_plain_checkpoints(tiny_config, tmp_path):
    file = tmp_path / 'own.py'
    hooks = "default_hooks = dict(_delete_=True, logger=dict(type='LoggerHook'))"
    file.write_text(f"_base_ = '{tiny_config}'\n{hooks}\n")
    cfg = training_config(str(file))
    assert cfg.default_hooks.plain_checkpoint == dict(type='PlainCheckpointHook')
