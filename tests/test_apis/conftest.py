"""A tiny random network that finds something, for the tests of what users call."""
import copy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from torch import nn

from mmseg_instbox.apis import InstBoxInferencer
from mmseg_instbox.engine import load_config, load_model

sys.path.insert(0, str(Path(__file__).parent))  # makes own_pictures importable


@pytest.fixture(scope='session')
def random_network(tiny_config) -> nn.Module:
    """The network of ``tiny_config`` with random weights, which tells categories apart."""
    init_default_scope('mmseg')
    torch.manual_seed(0)
    network = load_model(load_config(str(tiny_config)), device='cpu')
    nn.init.normal_(network.decode_head.conv_seg.weight, std=1)
    return network


@pytest.fixture
def network(random_network) -> nn.Module:
    """A copy of ``random_network`` that a test may change."""
    return copy.deepcopy(random_network)


@pytest.fixture
def inferencer(network) -> InstBoxInferencer:
    """An inferencer with ``random_network``."""
    return InstBoxInferencer(network, show_progress=False)


@pytest.fixture
def photos(tiny_voc) -> list[Path]:
    """Eight pictures of 64 x 64 pixels."""
    return sorted((tiny_voc / 'JPEGImages').glob('*.jpg'))


@pytest.fixture
def noise() -> np.ndarray:
    """A picture (80, 112, 3) uint8 of coloured blocks."""
    blocks = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return blocks.repeat(16, axis=0).repeat(16, axis=1)
