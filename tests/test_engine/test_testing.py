"""Evaluations, and how both kinds of runs read checkpoints: as data, unless they are trusted."""
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer

from mmseg_instbox.engine import testing_config as config_for_testing
from mmseg_instbox.engine import training_config
from mmseg_instbox.engine.testing import draw_predictions


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


def test_drawings_go_to_the_directory_asked_for(tmp_path):
    cfg = Config(dict(
        default_hooks=dict(visualization=dict(type='SegVisualizationHook')),
        visualizer=dict(vis_backends=[dict(type='LocalVisBackend'),
                                      dict(type='TensorboardVisBackend')])))
    draw_predictions(cfg, str(tmp_path), False, 2)
    assert cfg.default_hooks.visualization.draw is True
    assert cfg.visualizer.vis_backends == [
        dict(type='TensorboardVisBackend'),
        dict(type='LocalVisBackend', img_save_dir=str(tmp_path))]


def test_drawings_need_the_hook():
    with pytest.raises(ValueError, match='SegVisualizationHook'):
        draw_predictions(Config(dict(default_hooks=dict())), 'pictures', False, 2)


def test_without_a_display_a_test_that_shows_does_not_start(tiny_config, pickled, monkeypatch):
    monkeypatch.setattr('matplotlib.pyplot.get_backend', lambda: 'agg')
    with pytest.raises(ValueError, match='no display.*--show-dir'):
        config_for_testing(tiny_config, pickled, show=True, allow_pickle=True)
