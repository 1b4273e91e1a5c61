"""Static int8 quantization: what is quantized, what stays, and when the result is refused."""
import numpy as np
import pytest
import torch
from torch import nn

from mmseg_instbox.deploy import exporting, quantization
from mmseg_instbox.deploy.exporting import settings_of
from mmseg_instbox.errors import ExportError


@pytest.fixture(scope='module')
def pictures(photos) -> list[np.ndarray]:
    import cv2
    return [cv2.imread(str(each)) for each in photos]


def test_int8_says_nearly_the_same_and_is_smaller(network, onnx_file, pictures, tmp_path):
    file = exporting.export_model(network, tmp_path / 'small.onnx', pictures)
    assert file.stat().st_size < 0.5 * onnx_file.stat().st_size
    onnx = pytest.importorskip('onnx')
    graph = onnx.load(file).graph
    kinds = {each.name: each.data_type for each in graph.initializer}
    assert list(kinds.values()).count(onnx.TensorProto.INT8) > 10


def test_the_last_convolutions_stay_as_they_are(network):
    onnx = pytest.importorskip('onnx')
    settings = settings_of(network)
    with torch.no_grad():
        graph = exporting.trace(exporting.dense_network(network), settings)
    model = onnx.load_from_string(graph)
    last = quantization.last_convolutions(model)
    weights = {node.name: node.input[1] for node in model.graph.node if node.op_type == 'Conv'}
    shapes = {each.name: tuple(each.dims) for each in model.graph.initializer}
    assert sorted(shapes[weights[name]][0] for name in last) == [3, 4]


def test_int8_that_says_something_else_is_refused(network, pictures, tmp_path, monkeypatch):
    pytest.importorskip('onnxruntime')
    monkeypatch.setattr(exporting, 'LEAST_AGREEMENT', 1.01)
    with pytest.raises(ExportError, match='keep their category .* export without --int8'):
        exporting.export_model(network, tmp_path / 'small.onnx', pictures)
    assert not list(tmp_path.iterdir())


def test_no_pictures_are_refused(network: nn.Module, tmp_path):
    with pytest.raises(ExportError, match='a folder of about 100'):
        exporting.export_model(network, tmp_path / 'small.onnx', [])


def test_convolutions_around_averaged_features_stay_as_they_are():
    onnx = pytest.importorskip('onnx')
    pytest.importorskip('onnxruntime')
    made = onnx.helper
    names = ['image', *(f'x{index}' for index in range(9)), 'scores']
    nodes = [made.make_node('Conv', [source, f'w{index}'], [target], name=f'conv{index}')
             for index, (source, target) in enumerate(zip(names, names[1:], strict=False))]
    nodes.append(made.make_node('ReduceMean', ['x6'], ['boxes'], axes=[2, 3]))
    rng = np.random.default_rng(0)
    weights = [onnx.numpy_helper.from_array(rng.normal(size=(3, 3, 1, 1)).astype('f4'), f'w{index}')
               for index in range(len(nodes) - 1)]
    ends = [made.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ['n', 3, 'h', 'w'])
            for name in ('image', 'scores', 'boxes')]
    graph = made.make_graph(nodes, 'chain', ends[:1], ends[1:], weights)
    model = made.make_model(graph, opset_imports=[made.make_opsetid('', 17)], ir_version=9)
    found = onnx.load_from_string(
        quantization.quantize(model.SerializeToString(), [torch.rand(1, 3, 8, 8)]))
    kept = {each.name for each in weights} & {each.name for each in found.graph.initializer}
    # the first five, those that make and read x6, and the last one
    assert kept == {'w0', 'w1', 'w2', 'w3', 'w4', 'w6', 'w7', 'w9'}
