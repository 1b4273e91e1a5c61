import shutil
from pathlib import Path

import pytest
import yaml
from mmengine.config import Config

from mmseg_instbox.engine import find_model, list_models, model_index

NAME = 'instbox_mobilenet-v2-d16_1xb8-2k_voc-mini-352x352'


@pytest.fixture
def installed(repo, tmp_path, monkeypatch) -> Path:
    """The ``.mim`` folder of an installation somewhere else."""
    root = tmp_path / 'mmseg_instbox' / '.mim'
    shutil.copytree(repo / 'configs', root / 'configs')
    shutil.copy(repo / 'model-index.yml', root)
    monkeypatch.setattr(model_index, 'PACKAGE', root.parent)
    model_index._models.cache_clear()
    yield root
    model_index._models.cache_clear()


def test_all_configs_are_listed_once(repo):
    configs = [file.stem for folder in ('fcrn', 'instbox')
               for file in (repo / 'configs' / folder).rglob('*.py')]
    assert sorted(list_models()) == sorted(configs)
    for name in list_models():
        config, weights = find_model(name)
        assert Path(config).stem == name and Path(config).is_file()
        assert weights is None or '://' in weights or Path(weights).is_file()


def test_a_name_leads_to_its_config():
    config, _ = find_model(NAME)
    assert Config.fromfile(config).model.type == 'InstBoxSegmentor'


@pytest.mark.parametrize('folder, name', [
    ('instbox', NAME),
    ('instbox/ablations', 'instbox_mobilenet-v2-d16_1xb8-500_voc-mini-224x224_thresh-0.9'),
    ('instbox/any_model', 'instbox_pidnet-s_1xb8-2k_voc-mini-352x352')])
def test_an_installation_brings_its_own(installed, folder, name):
    assert find_model(name)[0] == str(installed / 'configs' / folder / f'{name}.py')


@pytest.mark.parametrize('weights', ['demo/some.pth', 'https://example.org/some.pth'])
def test_weights_are_an_address_or_lie_in_the_installation(installed, weights):
    file = installed / 'configs' / 'instbox' / 'metafile.yaml'
    content = yaml.safe_load(file.read_text())
    next(model for model in content['Models'] if model['Name'] == NAME)['Weights'] = weights
    file.write_text(yaml.safe_dump(content))
    expected = weights if '://' in weights else str(installed / weights)
    assert find_model(NAME)[1] == expected


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match=f"no model '{NAME[:-1]}'.* nearest are {NAME}"):
        find_model(NAME[:-1])
    with pytest.raises(ValueError, match='list_models'):
        find_model('%')


def test_an_installation_without_index_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(model_index, 'PACKAGE', tmp_path / 'package')
    with pytest.raises(FileNotFoundError, match=r'no model-index\.yml in .*package'):
        model_index.index_root()
