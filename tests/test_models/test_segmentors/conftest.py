"""Networks whose answer is known, for the tests of inference."""
import sys
from pathlib import Path

import pytest
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[2] / 'test_core'))
from box_field import BoxField  # noqa: E402


@MODELS.register_module(force=True)
class PoolBackbone(BaseModule):
    """Features that look at nothing but their own 8 x 8 pixels."""

    def forward(self, inputs: Tensor) -> tuple[Tensor]:
        """The mean colour of each cell."""
        return (nn.functional.avg_pool2d(inputs, 8), )


@pytest.fixture
def pooled_model(tiny_model) -> nn.Module:
    """A segmentor whose cells do not see each other, with random 1 x 1 heads."""
    tiny_model['backbone'] = dict(type='PoolBackbone')
    head = dict(in_channels=3, channels=3, in_index=0, num_convs=0, dropout_ratio=0)
    tiny_model['decode_head'] = dict(
        type='FCRNHead', num_classes=4, classifier_kernel=1, classifier_dilation=1, **head)
    tiny_model['box_head'] = dict(
        type='PixelBoxHead', coder=dict(type='PixelBoxCoder', scale=16), **head)
    tiny_model['data_preprocessor']['size_divisor'] = 8
    model = MODELS.build(tiny_model).eval()
    nn.init.normal_(model.decode_head.conv_seg.weight, std=2)
    nn.init.normal_(model.box_head.conv_seg.weight, std=0.3)
    return model


@pytest.fixture
def field_model(tiny_model):
    """A function that builds a segmentor with a :class:`BoxField` in place of the network."""

    def build(test_cfg: dict | None = None, **field) -> tuple[nn.Module, BoxField]:
        model = MODELS.build(tiny_model | dict(test_cfg=test_cfg or dict(mode='whole'))).eval()
        model.forward_dense = BoxField(**field)
        return model, model.forward_dense

    return build
