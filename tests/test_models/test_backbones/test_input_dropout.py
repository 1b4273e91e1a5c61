import copy
import pickle

import pytest
import torch
from torch import nn

from mmseg_instbox.models.backbones.input_dropout import InputDropout


@pytest.fixture
def layer() -> nn.Module:
    """A layer that passes its input on, half of it dropped."""
    layer = nn.Identity()
    layer.register_forward_pre_hook(InputDropout(0.5))
    return layer


def test_values_are_dropped_and_the_others_enlarged_in_training(layer):
    out = layer(torch.ones(10000))
    assert set(out.tolist()) == {0., 2.}
    assert 0.47 < (out == 0).float().mean() < 0.53


def test_nothing_happens_in_evaluation(layer):
    layer.eval()
    assert torch.equal(layer(torch.ones(100)), torch.ones(100))


def test_a_copy_drops_too(layer):
    for again in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert (again(torch.ones(1000)) == 0).any()
