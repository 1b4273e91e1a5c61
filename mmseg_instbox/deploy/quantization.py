"""Static int8 quantization of the convolutions."""
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from torch import Tensor

from ..errors import ExportError
from ..utils.foreign_errors import convert_errors
from .sessions import INPUT, import_runtime

AVERAGES = ('GlobalAveragePool', 'ReduceMean')
KEEP_FIRST = 5  # convolutions that stay float32: little work, but a wide range of values


def quantize(graph: bytes, images: Sequence[Tensor]) -> bytes:
    """Quantizes the convolutions of a graph to int8.

    Weights have a range per channel; ranges of activations are averages over the ``images``, inputs
    ``(1, 3, H, W)``, about 100 typical ones. The first five convolutions, the last one of each
    output and those around features that are averaged over the image stay float32. Raises
    ExportError if ONNX Runtime cannot quantize the graph.
    """
    onnx = import_runtime('onnx')
    tools = import_runtime('onnxruntime.quantization')
    model = onnx.load_from_string(graph)
    nodes = model.graph.node
    convolutions = [node for node in nodes if node.op_type == 'Conv']
    # in int8, OpenVINO 2026.4 computes them wrongly on processors with AVX2 alone
    averaged = {name for node in nodes if node.op_type in AVERAGES for name in node.input}
    excluded = [node.name for index, node in enumerate(convolutions)
                if index < KEEP_FIRST or averaged & {*node.input, *node.output}]
    excluded += last_convolutions(model)
    inputs = ({INPUT: image.numpy()} for image in images)
    reader = SimpleNamespace(get_next=lambda: next(inputs, None))
    with tempfile.TemporaryDirectory() as folder:
        float_file, int_file = Path(folder) / 'float.onnx', Path(folder) / 'int.onnx'
        float_file.write_bytes(graph)
        logging.disable(logging.WARNING)  # about unknown shapes, which do not matter here
        try:
            with convert_errors('ONNX Runtime cannot quantize this network', to=ExportError):
                tools.quantize_static(
                    float_file, int_file, reader, per_channel=True,
                    op_types_to_quantize=['Conv'], nodes_to_exclude=excluded,
                    activation_type=tools.QuantType.QUInt8, weight_type=tools.QuantType.QInt8,
                    extra_options=dict(CalibMovingAverage=True))
        finally:
            logging.disable(logging.NOTSET)
        return int_file.read_bytes()


def last_convolutions(model: Any) -> list[str]:
    """Returns the names of an ONNX model's convolutions without another one before an output."""
    makers = {name: node for node in model.graph.node for name in node.output}
    waiting = [output.name for output in model.graph.output]
    seen, found = set(waiting), []
    while waiting:
        node = makers.get(waiting.pop())
        if node is not None and node.op_type == 'Conv':
            found.append(node.name)
        elif node is not None:
            new = set(node.input) - seen
            seen |= new
            waiting += new
    return found
