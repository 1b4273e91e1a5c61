"""Weights that a training starts from run no code, wherever the config names them."""
import urllib.error
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner.checkpoint import get_external_models

from mmseg_instbox.engine import checkpoints
from mmseg_instbox.engine.start_weights import check_pretrained
from mmseg_instbox.errors import InvalidInputError, MissingFileError


class Payload:
    """Pickles to the order to create a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self):
        return open, (str(self.file), 'w')


def configs(file: Path) -> list[Config]:
    """All places of a model in which a file of weights can stand."""
    pretrained = dict(type='Pretrained', checkpoint=str(file))
    return [Config(dict(model=model)) for model in (
        dict(type='A', pretrained=str(file)),
        dict(type='A', init_cfg=pretrained),
        dict(type='A', backbone=dict(type='B', init_cfg=[dict(type='Normal'), pretrained])),
        dict(type='A', auxiliary_head=[dict(type='B'), dict(init_cfg=pretrained)]))]


@pytest.fixture
def malicious(tmp_path) -> Path:
    """Weights whose unpickling makes the file ``made`` beside them."""
    file = tmp_path / 'backbone.pth'
    torch.save(dict(state_dict={}, meta=Payload(tmp_path / 'made')), file)
    return file


@pytest.mark.parametrize('which', range(4))
def test_code_in_weights_to_start_from_is_not_run(malicious, which):
    with pytest.raises(InvalidInputError, match=r'backbone\.pth holds .*--allow-pickle'):
        check_pretrained(configs(malicious)[which])
    assert not (malicious.parent / 'made').exists()


def test_without_the_check_mmengine_runs_it(malicious):
    from mmengine.runner.checkpoint import CheckpointLoader
    CheckpointLoader.load_checkpoint(str(malicious))
    assert (malicious.parent / 'made').exists()


@pytest.mark.parametrize('which', range(4))
def test_plain_weights_pass_and_a_missing_file_is_named(tmp_path, which):
    file = tmp_path / 'backbone.pth'
    with pytest.raises(MissingFileError, match=r'backbone\.pth'):
        check_pretrained(configs(file)[which])
    torch.save(dict(state_dict=dict(weight=torch.ones(2))), file)
    cfg = configs(file)[which]
    before = cfg.to_dict()
    check_pretrained(cfg)
    assert cfg.to_dict() == before


@pytest.fixture
def offline(tmp_path, monkeypatch) -> Path:
    """A computer without network; PyTorch's cache."""

    def fail(request):
        raise urllib.error.URLError('no network')

    monkeypatch.setattr(checkpoints, 'urlopen', fail)
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    return tmp_path / 'hub' / 'checkpoints'


ADDRESS = get_external_models()['resnet18_v1c']


@pytest.mark.parametrize('node, option', [
    (dict(pretrained='open-mmlab://resnet18_v1c'), 'model.pretrained'),
    (dict(backbone=dict(init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://resnet18_v1c'))),
     'model.backbone.init_cfg'),
    (dict(heads=[dict(pretrained=ADDRESS)]), 'model.heads.0.pretrained')])
def test_without_a_network_address_file_and_option_are_named(offline, node, option):
    with pytest.raises(InvalidInputError) as caught:
        check_pretrained(Config(dict(model=node)))
    message = str(caught.value)
    assert message.startswith(f'{ADDRESS} cannot be downloaded (<urlopen error no network>)')
    assert message.endswith(f'leave it out with --cfg-options {option}=None.')
    assert f'put the file at {offline}/' in message


def test_a_file_that_is_put_into_the_cache_needs_no_network(offline):
    offline.mkdir(parents=True)
    (offline / 'resnet18_v1c-b5776b93.pth').touch()
    check_pretrained(Config(dict(model=dict(pretrained='open-mmlab://resnet18_v1c'))))


def test_trust_and_other_schemes_leave_the_file_to_mmengine(malicious):
    check_pretrained(configs(malicious)[0], allow_pickle=True)
    check_pretrained(Config(dict(model=dict(pretrained='s3://bucket/file.pth'))))
    check_pretrained(Config(dict(model=dict(type='A', pretrained=True, checkpoint='no_file'))))
    check_pretrained(Config(dict()))
