"""Convolutions that compute with 8-bit whole numbers."""
import logging
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from ..errors import ExportError
from .sessions import INPUT, import_runtime

KEEP_FIRST = 5  # convolutions that stay as they are: few sums, but numbers of very wide ranges


class _Reader:
    """Hands pictures to ONNX Runtime's calibration, which asks for one after another."""

    def __init__(self, pictures: Iterable[Tensor]) -> None:
        self._pictures: Iterator[Tensor] = iter(pictures)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next input, None after the last."""
        picture = next(self._pictures, None)
        return None if picture is None else {INPUT: picture.numpy()}


def quantise(graph: bytes, pictures: Sequence[Tensor]) -> bytes:
    """A graph whose convolutions compute with 8-bit whole numbers (static quantization).

    Weights have a range for each channel; ranges of activations are means of those seen on the
    pictures. The first five convolutions and the last one of each output stay as they are.

    Args:
        graph: An ONNX model.
        pictures: Inputs ``(1, 3, H, W)``, some 100 of the kind that is to come.

    Raises:
        ValueError: ONNX Runtime cannot quantise the graph.
        ImportError: ``onnx`` or ``onnxruntime`` is not installed.
    """
    onnx = import_runtime('onnx')
    tools = import_runtime('onnxruntime.quantization')
    model = onnx.load_from_string(graph)
    convolutions = [node.name for node in model.graph.node if node.op_type == 'Conv']
    excluded = convolutions[:KEEP_FIRST] + last_convolutions(model)
    with tempfile.TemporaryDirectory() as folder:
        float_file, int_file = Path(folder) / 'float.onnx', Path(folder) / 'int.onnx'
        float_file.write_bytes(graph)
        logging.disable(logging.WARNING)  # of shapes that need not be known here
        try:
            tools.quantize_static(
                float_file, int_file, _Reader(pictures), per_channel=True,
                op_types_to_quantize=['Conv'], nodes_to_exclude=excluded,
                activation_type=tools.QuantType.QUInt8, weight_type=tools.QuantType.QInt8,
                extra_options=dict(CalibMovingAverage=True))
        except Exception as error:  # the library raises many types
            reason = ' '.join(str(error).split())[:300]
            raise ExportError(f'ONNX Runtime cannot quantise this network: {reason}') from error
        finally:
            logging.disable(logging.NOTSET)
        return int_file.read_bytes()


def last_convolutions(model: 'object') -> list[str]:
    """Names of the convolutions from which the outputs come without another one in between.

    Args:
        model: An ONNX model.
    """
    makers = {name: node for node in model.graph.node for name in node.output}
    waiting = [output.name for output in model.graph.output]
    seen, found = set(waiting), []
    while waiting:
        node = makers.get(waiting.pop())
        if node is None:
            continue
        if node.op_type == 'Conv':
            found.append(node.name)
            continue
        new = set(node.input) - seen
        seen |= new
        waiting += new
    return found
