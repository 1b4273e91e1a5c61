"""Checkpoints and configs that once ended in a traceback; each is refused with a sentence."""
import copy
import json

import pytest
import torch
from fuzzing.models import DATA_NAMES, tiny_config
from mmengine.config import Config

from mmseg_instbox.apis import InstBoxInferencer
from mmseg_instbox.engine import build_network, config_to_json, load_model
from mmseg_instbox.errors import InstBoxError


@pytest.fixture(scope='module')
def state():
    return build_network(Config(copy.deepcopy(tiny_config()))).state_dict()


@pytest.fixture
def refused(state, tmp_path):
    """A function that expects a checkpoint of such meta data to be refused."""

    def check(match, cfg=None, **names):
        meta = dict(dataset_meta={**DATA_NAMES, **names},
                    config_json=json.dumps(cfg) if cfg else config_to_json(Config(tiny_config())))
        torch.save(dict(state_dict=state, meta=meta), tmp_path / 'model.pth')
        with pytest.raises(InstBoxError, match=match):
            InstBoxInferencer(tmp_path / 'model.pth', device='cpu', show_progress=False)
    return check


@pytest.mark.parametrize('palette', [[[0, 0, [1]]] * 3, [5, 5, 5], [[1, 2]] * 3, [[0, 0, 256]] * 3,
                                     [['x', 0, 0]] * 3, [[float('nan')] * 3] * 3])
def test_a_palette_of_other_things_than_colours(refused, palette):
    refused('The palette is', palette=palette)


@pytest.mark.parametrize('classes', ['abc', [1, 2, 3], 5, [['a'], 'b', 'c']])
def test_names_that_are_none(refused, classes):
    refused('names', classes=classes)


@pytest.mark.parametrize('pipeline', [5, ['x'], [[]], [dict(x=1)], dict(type='PackInstInputs'),
                                      [dict(type='PackInstInputs', x=1)] * 2])
def test_a_pipeline_that_is_none(refused, pipeline):
    refused('test_pipeline', cfg=json.loads(json.dumps(tiny_config())) | dict(
        test_pipeline=pipeline))


@pytest.mark.parametrize('names', ['x', 5.5, [1]])
def test_a_table_of_names_that_is_none(state, tmp_path, names):
    meta = dict(dataset_meta=names, config_json=config_to_json(Config(tiny_config())))
    torch.save(dict(state_dict=state, meta=meta), tmp_path / 'model.pth')
    with pytest.raises(InstBoxError, match='not a list of names'):
        load_model(tmp_path / 'model.pth')


@pytest.mark.parametrize('change', [
    dict(model=[]), dict(model=5.5), dict(model='x'), dict(model=True), dict(default_scope=[1]),
    dict(default_scope=dict(a=1))])
def test_a_config_that_describes_no_model(change):
    with pytest.raises(InstBoxError, match='has a model that cannot be built'):
        build_network(Config(tiny_config() | change))
