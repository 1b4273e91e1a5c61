"""Writing a model as ONNX or OpenVINO: what is in the file, and what is refused."""
import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from torch import nn

from mmseg_instbox.deploy import export_model, exporting
from mmseg_instbox.deploy.export_settings import ExportSettings
from mmseg_instbox.deploy.exporting import dense_network, settings_of
from mmseg_instbox.deploy.sessions import Session
from mmseg_instbox.engine import build_network, load_config
from mmseg_instbox.errors import ExportError


@pytest.mark.parametrize('shape', [(1, 3, 64, 96), (3, 3, 32, 32), (2, 3, 160, 64)])
def test_the_graph_gives_the_networks_numbers(network, file, shape):
    inputs = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = network.forward_dense(inputs)
    for mine, its in zip(expected, Session(file)(inputs.numpy()), strict=True):
        assert its.dtype == np.float32 and its.shape == tuple(mine.shape)
        assert np.allclose(its, mine.numpy(), atol=1e-3 * float(mine.abs().max()))


def test_what_a_runtime_needs_is_in_the_file(network, file):
    settings = ExportSettings.from_json(Session(file).settings, 'a file')
    assert settings == settings_of(network)
    assert settings.dataset_meta['classes'] == ['background', 'square', 'disc']
    assert settings.thing_ids == [1, 2] and len(settings.dataset_meta['palette']) == 3
    assert settings.resize == dict(scale=[96, 96], keep_ratio=True)
    assert settings.mean == pytest.approx([123.675, 116.28, 103.53]) and settings.bgr_to_rgb
    assert settings.grouper['type'] == 'PixelBoxGrouper' and settings.test_cfg['mode'] == 'whole'
    assert settings.padding == dict(size_divisor=8, value=0)


def test_onnx_is_valid_and_has_free_sizes(onnx_file):
    onnx = pytest.importorskip('onnx')
    model = onnx.load(onnx_file)
    onnx.checker.check_model(model)
    image, = model.graph.input
    sides = [side.dim_param or side.dim_value for side in image.type.tensor_type.shape.dim]
    assert sides == ['batch', 3, 'height', 'width']
    assert [output.name for output in model.graph.output] == ['scores', 'boxes']
    stored = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(stored['instbox'])['dataset_meta']['thing_classes'] == ['square', 'disc']


def test_the_model_stays_as_it_was(network, tmp_path):
    pytest.importorskip('onnx')
    before = {key: value.clone() for key, value in network.state_dict().items()}
    export_model(network, tmp_path / 'model.onnx')
    after = network.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())
    assert list(tmp_path.iterdir()) == [tmp_path / 'model.onnx']


@pytest.mark.parametrize('suffix', ['.onnx', '.xml'])
def test_a_file_that_differs_is_not_left(network, tmp_path, monkeypatch, suffix):
    pytest.importorskip('onnx')
    pytest.importorskip('openvino')
    other = copy.deepcopy(network)
    other.box_head.conv_seg.bias.data[0] += 0.3
    graph = exporting.trace(dense_network(other), settings_of(network))
    monkeypatch.setattr(exporting, 'trace', lambda *_: graph)
    (tmp_path / f'model{suffix}').write_text('the old one')
    with pytest.raises(ExportError, match='other boxes than the network .* Nothing was written'):
        export_model(network, tmp_path / f'model{suffix}')
    assert (tmp_path / f'model{suffix}').read_text() == 'the old one'
    assert len(list(tmp_path.iterdir())) == 1


def test_a_write_that_is_cut_off_leaves_nothing_that_runs(network, tmp_path, monkeypatch):
    pytest.importorskip('onnx')
    pytest.importorskip('openvino')
    write = exporting.atomic_write

    def cut_off(content: bytes, path: Path) -> Path:
        if path.suffix == '.xml':
            raise KeyboardInterrupt
        return write(content, path)

    (tmp_path / 'model.xml').write_text('the old one')
    monkeypatch.setattr(exporting, 'atomic_write', cut_off)
    with pytest.raises(KeyboardInterrupt):
        export_model(network, tmp_path / 'model.xml')
    assert [each.name for each in tmp_path.iterdir()] == ['model.bin']


class Restless(nn.Module):
    """Adds random numbers to what a network says."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        for name in ('cfg', 'dataset_meta', 'thing_ids', 'test_cfg', 'data_preprocessor'):
            setattr(self, name, getattr(network, name))

    def forward_dense(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Other logits at each call."""
        logits, boxes = self.network.forward_dense(inputs)
        return logits + torch.rand_like(logits), boxes


def test_a_network_that_draws_random_numbers_is_refused(network, tmp_path):
    with pytest.raises(ExportError, match='other outputs each time'):
        export_model(Restless(network), tmp_path / 'model.onnx')


def with_pipeline(network: nn.Module, *steps: dict) -> nn.Module:
    network = copy.copy(network)
    network.cfg = copy.deepcopy(network.cfg)
    network.cfg.test_pipeline = [dict(type='LoadInstImage'), *steps, dict(type='PackInstInputs')]
    return network


def test_a_pipeline_that_the_runtime_does_not_know_is_refused(network, tmp_path):
    odd = with_pipeline(network, dict(type='CLAHE'))
    with pytest.raises(ExportError, match="step {'type': 'CLAHE'}"):
        export_model(odd, tmp_path / 'model.onnx')
    twice = with_pipeline(network, *[dict(type='Resize', scale=(64, 64))] * 2)
    with pytest.raises(ExportError, match='one Resize'):
        export_model(twice, tmp_path / 'model.onnx')
    assert settings_of(with_pipeline(network)).resize is None


def test_a_grouper_of_ones_own_is_refused(network, tmp_path):
    network = copy.copy(network)
    network.cfg = copy.deepcopy(network.cfg)
    network.cfg.model.grouper = dict(type='MyGrouper')
    with pytest.raises(ExportError, match='MyGrouper is a custom grouper'):
        export_model(network, tmp_path / 'model.onnx')


def test_settings_that_no_exported_model_can_have_are_named(network):
    network = copy.copy(network)
    network.thing_ids = []
    with pytest.raises(ExportError, match='invalid thing_ids'):
        settings_of(network)


def test_another_ending_is_refused(network, tmp_path):
    with pytest.raises(ExportError, match=r'ends in .onnx or .xml'):
        export_model(network, tmp_path / 'model.pb')


FAMILIES = dict(
    exported=['instbox_stdc1_1xb8-2k_voc-mini-352x352',
              'instbox_bisenetv2_1xb8-2k_voc-mini-352x352',
              'instbox_mobilenet-v2-d16_1xb8-2k_voc-mini-352x352'],
    refused=['instbox_segformer-mit-b0_1xb8-2k_voc-mini-352x352'])


def family(repo: Path, name: str) -> nn.Module:
    """The network of a config with random weights."""
    init_default_scope('mmseg')
    torch.manual_seed(0)
    file, = (repo / 'configs' / 'instbox').rglob(f'{name}.py')
    cfg = load_config(file)
    network = build_network(cfg).eval()
    names = [str(number) for number in range(network.num_classes)]
    network.dataset_meta = dict(
        classes=names, thing_classes=[names[i] for i in network.thing_ids],
        palette=[[0, 0, 0]] * len(names))
    network.cfg = cfg
    return network


@pytest.mark.parametrize('name', FAMILIES['exported'])
def test_families_that_can_be_exported(repo, name, tmp_path):
    pytest.importorskip('onnx')
    pytest.importorskip('onnxruntime')
    assert export_model(family(repo, name), tmp_path / 'model.onnx').is_file()


@pytest.mark.parametrize('name', FAMILIES['refused'])
def test_families_that_cannot_are_refused_with_a_sentence(repo, name, tmp_path):
    pytest.importorskip('onnx')
    pytest.importorskip('onnxruntime')
    with pytest.raises(ExportError, match='cannot be exported|cannot be expressed'):
        export_model(family(repo, name), tmp_path / 'model.onnx')
    assert not list(tmp_path.iterdir())
