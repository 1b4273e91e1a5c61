"""Static int8 quantization of the convolutions."""
import logging
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from ..errors import ExportError
from .sessions import INPUT, import_runtime

KEEP_FIRST = 5  # convolutions that stay float32: little work, but a wide range of values


class _Reader:
    """Gives images to ONNX Runtime's calibration, one after another."""

    def __init__(self, images: Iterable[Tensor]) -> None:
        self._images: Iterator[Tensor] = iter(images)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Returns the next input, None after the last."""
        image = next(self._images, None)
        return None if image is None else {INPUT: image.numpy()}


def quantize(graph: bytes, images: Sequence[Tensor]) -> bytes:
    """Quantizes the convolutions of a graph to int8.

    Weights have a range per channel; ranges of activations are averages over the images. The first
    five convolutions and the last one of each output stay float32.

    Args:
        graph: An ONNX model.
        images: Inputs ``(1, 3, H, W)``, about 100 typical ones.

    Raises:
        ValueError: ONNX Runtime cannot quantize the graph.
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
        logging.disable(logging.WARNING)  # about unknown shapes, which do not matter here
        try:
            tools.quantize_static(
                float_file, int_file, _Reader(images), per_channel=True,
                op_types_to_quantize=['Conv'], nodes_to_exclude=excluded,
                activation_type=tools.QuantType.QUInt8, weight_type=tools.QuantType.QInt8,
                extra_options=dict(CalibMovingAverage=True))
        except Exception as error:  # the library raises many types
            reason = ' '.join(str(error).split())[:300]
            raise ExportError(f'ONNX Runtime cannot quantize this network: {reason}') from error
        finally:
            logging.disable(logging.NOTSET)
        return int_file.read_bytes()


def last_convolutions(model: 'object') -> list[str]:
    """Returns the names of the convolutions with no other one between them and an output.

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
