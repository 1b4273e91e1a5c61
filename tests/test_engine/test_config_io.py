import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.models.backbones import ResNetV1c

from mmseg_instbox.engine import (
    config_from_json,
    config_to_json,
    find_config,
    find_model,
    list_models,
    load_config,
)
from mmseg_instbox.errors import InvalidInputError
from mmseg_instbox.models import InstBoxSegmentor


@pytest.mark.parametrize('content', [
    dict(size=(352, 352), nested=[((1, 2), [3])], empty=()),
    dict(label_map={0: 255, 1: (2, 3)}, words={'a': None, 'b': True}),
    dict(end=float('inf'), low=float('-inf'), small=1e-30),
    {'odd': {'$tuple': [1], '$dict': 2}, 'one': {'$tuple': 'text'}},
])
def test_a_config_comes_back_as_it_was(content):
    text = config_to_json(Config(content))
    json.loads(text, parse_constant=pytest.fail)  # strict JSON: no Infinity
    back = config_from_json(text)
    assert isinstance(back, Config)
    assert repr(back.to_dict()) == repr(content)  # tuples as tuples, keys in order


def test_configs_of_the_repository_come_back_as_they_were(repo):
    for name in ('instbox/ablations/instbox_mobilenet-v2-d16_1xb8-2k_voc-mini-352x352_tta',
                 'instbox/any_model/instbox_upernet-swin-tiny_1xb8-2k_voc-mini-352x352'):
        cfg = Config.fromfile(repo / 'configs' / f'{name}.py')
        assert repr(config_from_json(config_to_json(cfg)).to_dict()) == repr(cfg.to_dict())


def test_numbers_of_numpy_paths_and_classes_become_plain():
    cfg = Config(dict(palette=np.array([[0, 1, 2]]), lr=np.float64(0.5), root=Path('a/b'),
                      model=dict(type=InstBoxSegmentor, backbone=dict(type=ResNetV1c)),
                      optimizer=dict(type='torch.optim.SGD')))
    back = config_from_json(config_to_json(cfg)).to_dict()
    assert back == dict(palette=[[0, 1, 2]], lr=0.5, root='a/b', optimizer=dict(type='SGD'),
                        model=dict(type='InstBoxSegmentor', backbone=dict(type='ResNetV1c')))


@pytest.mark.parametrize('content, place', [
    (dict(hooks=[dict(type='EMAHook', when=max)]), r'cfg\.hooks\[0\]\.when'),
    (dict(model=dict(type='json.decoder.JSONDecoder')), r'cfg\.model\.type'),
    (dict(model=dict(type=dict)), r'cfg\.model\.type'),
    (dict(weights=torch.ones(2)), r'cfg\.weights'),
])
def test_what_is_no_data_is_named(content, place):
    with pytest.raises(ValueError, match=place):
        config_to_json(Config(content))


@pytest.mark.parametrize('text', ['{', '[1]', '"a"', '{"$float": "a"}', '{"filename": "x"}', '7'])
def test_another_text_is_refused(text):
    with pytest.raises(ValueError, match='config in JSON'):
        config_from_json(text)


def test_a_path_stands_for_itself_and_a_name_for_its_config(tiny_config):
    assert find_config(str(tiny_config)) == (str(tiny_config), None)
    name = list_models()[0]
    assert find_config(name) == find_model(name)


def test_a_missing_file_names_those_near_it(tmp_path):
    for name in ('model_a.py', 'model_b.py', 'other.txt'):
        (tmp_path / name).touch()
    with pytest.raises(FileNotFoundError) as error:
        find_config(str(tmp_path / 'model.py'))
    assert 'near it are model_' in str(error.value) and 'other' not in str(error.value)


def test_a_missing_folder_is_told():
    with pytest.raises(FileNotFoundError, match="no folder 'nowhere'"):
        find_config('nowhere/model.py')


def test_an_unknown_name_is_answered_with_near_ones():
    name = list_models()[0]
    with pytest.raises(ValueError, match=name):
        find_config(name[:-1])


def test_a_missing_config_is_named():
    with pytest.raises(FileNotFoundError, match=r"no config file 'configs/absent\.py'"):
        load_config('configs/absent.py')


def test_options_override_the_config(tmp_path):
    file = tmp_path / 'plain.py'
    file.write_text('train_cfg = dict(max_iters=5)\n')
    assert load_config(str(file), {'train_cfg.max_iters': 7}).train_cfg.max_iters == 7


@pytest.mark.parametrize(('option', 'meant'), [
    ('train_dataloder.batch_size', 'train_dataloader'), ('modle.type', 'model'),
    ('randomnes.seed', 'randomness'), ('test_evalutor.prefix', 'test_evaluator')])
def test_a_misspelt_option_is_refused(tmp_path, option, meant):
    file = tmp_path / 'plain.py'
    file.write_text('train_dataloader = dict(batch_size=2)\nmodel = dict(type="A")\nlimit = 1\n')
    with pytest.raises(InvalidInputError, match=f"Did you mean '{meant}'"):
        load_config(str(file), {option: 1})
    options = {'test_dataloader.batch_size': 1, 'train_pipeline': [], 'own': 3}
    assert load_config(str(file), options).own == 3


def test_settings_of_workers_go_where_there_are_none(tmp_path):
    file = tmp_path / 'plain.py'
    file.write_text('train_dataloader = dict(batch_size=2, num_workers=2, persistent_workers=True, '
                    'prefetch_factor=4, timeout=9)\n')
    assert load_config(str(file)).train_dataloader.persistent_workers
    loader = load_config(str(file), {'train_dataloader.num_workers': 0}).train_dataloader
    assert loader == dict(batch_size=2, num_workers=0)
    torch.utils.data.DataLoader([1, 2], **loader)
