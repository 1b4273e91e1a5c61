"""The config that travels in a checkpoint is data, whoever wrote it."""
import sys

import pytest
from mmengine.config import Config

from mmseg_instbox.engine import config_to_json
from mmseg_instbox.engine.checkpoints import checkpoint_config


def carrying(**content) -> dict:
    """A checkpoint whose config has this content."""
    return dict(meta=dict(config_json=config_to_json(Config(content))))


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    """A module that leaves a file behind when it is imported."""
    (tmp_path / 'surprise.py').write_text(
        "from pathlib import Path\n(Path(__file__).parent / 'made').touch()\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / 'made'
    sys.modules.pop('surprise', None)


def test_the_config_comes_back():
    content = dict(model=dict(type='InstBoxSegmentor', size=(1, 2)), default_scope='mmseg')
    assert checkpoint_config(carrying(**content)).to_dict() == content


@pytest.mark.parametrize('checkpoint', [{}, dict(meta=None), dict(meta={}), dict(state_dict={})])
def test_without_config_there_is_none(checkpoint):
    assert checkpoint_config(checkpoint) is None


def test_a_config_as_python_is_not_executed(tmp_path):
    python = f'open({str(tmp_path / "made")!r}, "w")\nmodel = dict()\n'
    assert checkpoint_config(dict(meta=dict(cfg=python, config=python))) is None
    with pytest.raises(ValueError, match='config in JSON'):
        checkpoint_config(dict(meta=dict(config_json=python)))
    assert not (tmp_path / 'made').exists()


def test_imports_need_trust(own_module):
    checkpoint = carrying(custom_imports=dict(imports=['mmseg_instbox', 'surprise']))
    with pytest.raises(ValueError, match=r"imports 'surprise'; if you trust .* allow_pickle=True"):
        checkpoint_config(checkpoint)
    assert not own_module.exists()
    checkpoint_config(checkpoint, allow_pickle=True)
    assert own_module.exists()


def test_other_types_need_trust():
    checkpoint = carrying(model=dict(type='os.system'))
    checkpoint['meta']['config_json'] = '{"model": {"type": "os.system", "command": "true"}}'
    with pytest.raises(ValueError, match=r"cfg\.model\.type is 'os\.system'.*--allow-pickle"):
        checkpoint_config(checkpoint)
    assert checkpoint_config(checkpoint, allow_pickle=True).model.type == 'os.system'
