"""A tiny random network that finds something, and the files that were exported from it."""
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from torch import nn

from mmseg_instbox.deploy import export_model
from mmseg_instbox.engine import load_config, load_model

RUNTIMES = dict(onnx='onnxruntime', xml='openvino')


@pytest.fixture(scope='session')
def network(tiny_config) -> nn.Module:
    """The network of ``tiny_config`` with random weights, which tells categories apart; pictures
    are resized so that their longer side has 96 pixels."""
    init_default_scope('mmseg')
    torch.manual_seed(0)
    cfg = load_config(str(tiny_config))
    cfg.test_pipeline.insert(1, dict(type='Resize', scale=(96, 96), keep_ratio=True))
    network = load_model(cfg, device='cpu')
    nn.init.normal_(network.decode_head.conv_seg.weight, std=1)
    return network


@pytest.fixture(scope='session')
def onnx_file(network, tmp_path_factory) -> Path:
    """The network as ONNX."""
    pytest.importorskip('onnx')
    pytest.importorskip('onnxruntime')
    return export_model(network, tmp_path_factory.mktemp('onnx') / 'model.onnx')


@pytest.fixture(scope='session')
def xml_file(network, tmp_path_factory) -> Path:
    """The network as OpenVINO's two files."""
    pytest.importorskip('onnx')
    pytest.importorskip('openvino')
    return export_model(network, tmp_path_factory.mktemp('openvino') / 'model.xml')


@pytest.fixture(params=['onnx', 'xml'])
def file(request) -> Path:
    """One of the two."""
    return request.getfixturevalue(f'{request.param}_file')


@pytest.fixture(scope='session')
def photos(tiny_voc) -> list[Path]:
    """Eight pictures of 64 x 64 pixels."""
    return sorted((tiny_voc / 'JPEGImages').glob('*.jpg'))


@pytest.fixture(scope='session')
def noise() -> np.ndarray:
    """A picture (80, 112, 3) uint8 of coloured blocks."""
    blocks = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return blocks.repeat(16, axis=0).repeat(16, axis=1)
