"""Exports a model as ONNX or OpenVINO."""
import copy
import io
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.model import revert_sync_batchnorm
from torch import Tensor, nn

from ..errors import ExportError
from ..utils import atomic_write
from .checksum import add_checksum, onnx_property
from .export_settings import ExportSettings, settings_of
from .fidelity import CELLS, check_fidelity, check_repeatable, noise
from .preprocessing import normalise, resize_image
from .quantization import quantize
from .sessions import (
    INPUT,
    OUTPUTS,
    SETTINGS,
    SUFFIXES,
    import_runtime,
    open_session,
    openvino_core,
)

OPSET = 17
FORMATS = dict(onnx='.onnx', openvino='.xml')


class DenseNetwork(nn.Module):
    """The part of a segmentor that is exported: one forward pass.

    Args:
        model: With ``forward_dense``.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Logits ``(N, C, h, w)`` and boxes ``(N, 4, h', w')`` of ``(N, 3, H, W)``."""
        return self.model.forward_dense(image)


def export_model(model: nn.Module, path: str | Path,
                 calibration: Sequence[np.ndarray] | None = None) -> Path:
    """Exports a model to a file that runs without OpenMMLab.

    The graph takes ``image`` ``(N, 3, H, W)`` float32, normalised, with dynamic N, H and W, and
    returns ``scores`` ``(N, C, h, w)``, category logits, and ``boxes`` ``(N, 4, h', w')``, x1, y1,
    x2, y2 in pixels of its input. The exported model is run and compared with the model.

    Args:
        model: As ``load_model`` returns it; it is not changed.
        path: Ends in ``.onnx``, or in ``.xml`` for OpenVINO, which has a second file ``.bin``.
        calibration: Images (H, W, 3) uint8 BGR that calibrate int8 quantization of the
            convolutions; None exports float32.

    Returns:
        Path: The file, written whole or not at all.

    Raises:
        ValueError: The model cannot be exported, or the exported model gives other outputs.
        ImportError: A library of the extra ``export`` is not installed.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise ExportError(f'{path}: an exported model ends in {" or ".join(SUFFIXES)}.')
    settings = settings_of(model)
    network = DenseNetwork(revert_sync_batchnorm(_copy(model))).eval()
    images = None if calibration is None else _inputs(calibration, settings)
    with torch.no_grad():
        check_repeatable(network, settings)
        graph = trace(network, settings)
        if images is not None:
            graph = quantize(graph, images)
        with tempfile.TemporaryDirectory() as folder:
            written = write_files(graph, settings, Path(folder) / f'model{path.suffix}')
            check_fidelity(open_session(written), network, settings, images)
            return _move(written, path)


def _copy(model: nn.Module) -> nn.Module:
    """Copies a model to the CPU in float32."""
    return copy.deepcopy(model).cpu().float().eval()


def _inputs(images: Sequence[np.ndarray], settings: ExportSettings) -> list[Tensor]:
    """Prepares images for the network, one by one.

    Raises:
        ValueError: There are none.
    """
    if not images:
        raise ExportError('int8 quantization needs images to calibrate with; give a folder of '
                          'about 100 typical ones.')
    return [normalise([resize_image(each, settings)], settings) for each in images]


def trace(network: nn.Module, settings: ExportSettings) -> bytes:
    """Exports the network as an ONNX graph with dynamic batch and size.

    Raises:
        ValueError: ONNX cannot express the network.
        ImportError: ``onnx`` is not installed.
    """
    import_runtime('onnx')
    free = {INPUT: {0: 'batch', 2: 'height', 3: 'width'}} | {
        name: {0: 'batch', 2: f'{name}_height', 3: f'{name}_width'} for name in OUTPUTS}
    buffer = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of sizes that become constants; they are checked
            torch.onnx.export(
                network, (noise(settings, *CELLS[0]), ), buffer, dynamo=False, opset_version=OPSET,
                input_names=[INPUT], output_names=list(OUTPUTS), dynamic_axes=free)
    except Exception as error:  # the exporter raises what the step that failed raised
        reason = ' '.join(str(error).split())[:300] or type(error).__name__
        raise ExportError(f'{_name(network)} cannot be expressed in ONNX: '
                          f'{reason}') from error
    return buffer.getvalue()


def _name(network: DenseNetwork) -> str:
    """Names the model in messages by its backbone and its decode head."""
    parts = [getattr(network.model, name, None) for name in ('backbone', 'decode_head')]
    return ' with '.join(type(part).__name__ for part in parts if part is not None)


def write_files(graph: bytes, settings: ExportSettings, path: Path) -> Path:
    """Writes a graph with its settings and a checksum, as ``.onnx`` or as ``.xml`` and ``.bin``.

    Raises:
        ImportError: ``openvino`` is not installed.
    """
    if path.suffix == '.onnx':
        content = graph + onnx_property(SETTINGS.encode(), settings.to_json().encode())
        path.write_bytes(add_checksum(content, '.onnx'))
        return path
    openvino = import_runtime('openvino')
    model = openvino_core().read_model(graph)
    model.set_rt_info(settings.to_json(), [SETTINGS, 'settings'])
    openvino.save_model(model, path, compress_to_fp16=False)
    path.write_bytes(add_checksum(path.read_bytes(), '.xml', path.with_suffix('.bin').read_bytes()))
    return path


def _move(written: Path, path: Path) -> Path:
    """Moves the files to their place so that never a part of them could be run."""
    if path.suffix == '.xml':
        path.unlink(missing_ok=True)  # the old one does not fit the new weights
        atomic_write(written.with_suffix('.bin').read_bytes(), path.with_suffix('.bin'))
    return atomic_write(written.read_bytes(), path)
