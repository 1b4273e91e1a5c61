import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS

DATA = Path(os.environ.get('INSTBOX_DATA', Path(__file__).parents[3] / 'shared' / 'data'))
PUBLISHED = DATA.parent / 'weights' / 'deeplabv3_mnv2_pascal_quant.tflite'
EXPECTED = DATA.parent / 'weights' / 'deeplabv3_mobilenet-v2_voc12aug.pth'
TOOL = 'model_converters/deeplab_tflite.py'
NEW_LAYERS = ('box_head.', 'decode_head.compress.', 'decode_head.correction.')

needs_weights = pytest.mark.skipif(
    not PUBLISHED.is_file(), reason='the weights are not there; set INSTBOX_DATA')


@pytest.fixture(scope='module')
def convert(run_main) -> Callable[..., str]:
    """A function that runs the tool and returns what it prints."""
    return partial(run_main, TOOL)


@pytest.fixture(scope='module')
def state(convert, tmp_path_factory) -> dict[str, torch.Tensor]:
    """The weights that the tool makes of the published file, read as data alone."""
    pytest.importorskip('tflite')
    out = tmp_path_factory.mktemp('converted') / 'new' / 'out.pth'
    assert f'{out}: 8.' in convert(PUBLISHED, out)
    checkpoint = torch.load(out, weights_only=True)
    assert checkpoint.keys() == {'meta', 'state_dict'}
    return checkpoint['state_dict']


@pytest.fixture
def model(repo) -> torch.nn.Module:
    cfg = Config.fromfile(
        repo / 'configs' / '_base_' / 'models' / 'instbox_deeplabv3-mobilenet-v2-d16.py')
    return MODELS.build(cfg.model)


@needs_weights
def test_each_tensor_is_the_expected_one(state):
    expected = torch.load(EXPECTED, weights_only=True)['state_dict']
    assert list(state) == list(expected)
    for key, value in expected.items():
        # the factor of the pooled features is rounded to five digits there
        torch.testing.assert_close(state[key], value, rtol=2e-5, atol=0, msg=key)


@needs_weights
def test_nothing_is_missing_in_the_model_but_the_new_layers(state, model):
    before = {key: value.clone() for key, value in model.state_dict().items()}
    result = model.load_state_dict(state, strict=False)
    assert not result.unexpected_keys
    assert result.missing_keys and all(key.startswith(NEW_LAYERS) for key in result.missing_keys)
    after = model.state_dict()
    unchanged = {key for key in before if torch.equal(before[key], after[key])}
    assert unchanged == {key for key in before if key.startswith(NEW_LAYERS)}


@needs_weights
def test_strides_and_dilations_of_the_backbone_are_those_of_the_file(model):
    tflite = pytest.importorskip('tflite')
    graph = tflite.Model.GetRootAs(PUBLISHED.read_bytes()).Subgraphs(0)
    published = []
    for operator in map(graph.Operators, range(graph.OperatorsLength())):
        table = operator.BuiltinOptions()
        if operator.BuiltinOptionsType() == tflite.BuiltinOptions.DepthwiseConv2DOptions:
            options = tflite.DepthwiseConv2DOptions()
            options.Init(table.Bytes, table.Pos)
            published.append((options.StrideH(), options.DilationHFactor()))
    ours = [(conv.stride[0], conv.dilation[0]) for conv in model.backbone.modules()
            if isinstance(conv, torch.nn.Conv2d) and conv.groups > 1]
    assert ours == published and len(ours) == 17


def signed(model, tflite):
    """The weights of the first convolution as int8."""
    tensor = graph_of(model, tflite).Tensors(first_inputs(model, tflite)[1])
    model[tensor._tab.Pos + tensor._tab.Offset(6)] = tflite.TensorType.INT8


def one_less(model, tflite):
    """The last convolution is something else."""
    graph = graph_of(model, tflite)
    *_, last = (op for op in map(graph.Operators, range(graph.OperatorsLength()))
                if op.BuiltinOptionsType() == tflite.BuiltinOptions.Conv2DOptions)
    other = graph.Operators(graph.OperatorsLength() - 1)
    model[last._tab.Pos + last._tab.Offset(4)] = other.OpcodeIndex()


def other_width(model, tflite):
    """The first convolution has 3 channels for each of 32 colours."""
    shape = graph_of(model, tflite).Tensors(first_inputs(model, tflite)[1]).ShapeAsNumpy()
    shape[:] = shape[::-1].copy()


def graph_of(model, tflite):
    return tflite.Model.GetRootAs(model).Subgraphs(0)


def first_inputs(model, tflite):
    return graph_of(model, tflite).Operators(0).InputsAsNumpy()


@pytest.mark.parametrize('content', [b'', b'<html>not found</html>', b'PK\3\4' + bytes(99)])
def test_what_is_no_tflite_file_is_refused(convert, tmp_path, content):
    pytest.importorskip('tflite')
    check_refusal(convert, tmp_path, content, 'it is no TensorFlow Lite model.')


def test_a_file_of_nothing_but_its_start_is_refused(convert, tmp_path):
    pytest.importorskip('tflite')
    check_refusal(convert, tmp_path, b'\x1c\0\0\0TFL3', 'it cannot be read as a model quantised')


@needs_weights
@pytest.mark.parametrize('share', [.001, .01, .5, .9, .999])
def test_a_file_that_was_cut_off_is_refused(convert, tmp_path, share):
    pytest.importorskip('tflite')
    content = PUBLISHED.read_bytes()
    check_refusal(convert, tmp_path, content[:int(share * len(content))],
                  'it cannot be read as a model quantised')


@needs_weights
@pytest.mark.parametrize('change, message', [
    (signed, 'it cannot be read as a model quantised to uint8 .KeyError: 9.'),
    (one_less, 'its 54 convolutions are not the 55 of that network'),
    (other_width, 'its 55 convolutions are not the 55 of that network'),
])
def test_another_network_is_refused(convert, tmp_path, change, message):
    tflite = pytest.importorskip('tflite')
    model = bytearray(PUBLISHED.read_bytes())
    change(model, tflite)
    check_refusal(convert, tmp_path, bytes(model), message)


def check_refusal(convert, folder, content, message):
    """One sentence that names the file, and no output."""
    (folder / 'a.tflite').write_bytes(content)
    with pytest.raises(SystemExit, match=rf'^deeplab_tflite\.py: \S*/a\.tflite is not the '
                       rf'published deeplabv3_mnv2_pascal_quant\.tflite: {message}'):
        convert(folder / 'a.tflite', folder / 'out.pth')
    assert [file.name for file in folder.iterdir()] == ['a.tflite']


def test_a_file_that_is_not_there_is_named(convert, tmp_path):
    pytest.importorskip('tflite')
    with pytest.raises(SystemExit, match='No such file or directory: .*gone.tflite'):
        convert(tmp_path / 'gone.tflite', tmp_path / 'out.pth')
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named(convert, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'tflite', None)
    with pytest.raises(SystemExit, match='another package: pip install tflite '):
        convert(tmp_path / 'a.tflite', tmp_path / 'out.pth')
    assert not list(tmp_path.iterdir())
