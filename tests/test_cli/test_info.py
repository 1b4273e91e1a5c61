import numpy as np
import torch
from mmengine.config import Config
from mmseg.registry import MODELS

from mmseg_instbox.cli.scripts import model_stats
from mmseg_instbox.engine import find_model, list_models
from mmseg_instbox.version import __version__


def test_the_environment(succeed):
    lines = succeed('info').output.splitlines()
    facts = dict(line.split(': ', 1) for line in lines if ': ' in line)
    assert facts['mmseg_instbox'] == __version__
    assert facts['numpy'] == np.__version__ and facts['PyTorch'] == torch.__version__
    assert any('mmsegmentation' in name for name in facts)


def test_the_figures_of_a_model(succeed, monkeypatch, tiny_config):
    monkeypatch.setattr(model_stats, 'quiet_and_single', lambda: None)
    monkeypatch.setattr(model_stats, 'measure_apart', model_stats.measure)
    text = succeed('info', tiny_config, '--shape', 64, 96).output
    model = MODELS.build(Config.fromfile(tiny_config).model)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert f'{count / 1e6:.2f} M' in text and 'One image of 64 x 96 pixels' in text


def test_an_unknown_config_is_answered_with_near_names(fails):
    assert 'instbox_fcrn-r50-d8' in fails('info', 'instbox_fcrn-r50')


def test_models_are_listed_by_the_words_in_their_names(succeed, fails):
    assert succeed('models').output.splitlines() == list_models()
    names = succeed('models', 'fcrn', 'shapes').output.splitlines()
    assert names == [name for name in list_models() if 'fcrn' in name and 'shapes' in name]
    assert 'No model fits' in fails('models', 'nothing-of-this-kind')
    ready = [name for name in list_models() if find_model(name)[1]]
    if ready:
        assert succeed('models', '--weights').output.splitlines() == ready
