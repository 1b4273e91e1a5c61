"""Runs exported models with ONNX Runtime or OpenVINO, and signs their files.

A file ends with a SHA-256 of its content, so that a broken file is refused before it is parsed: as
an entry of ONNX's ``metadata_props``, or as an XML comment.
"""
import hashlib
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from ..errors import BrokenExportError, InvalidInputError, MissingFileError, MissingPackageError
from ..utils.foreign_errors import convert_errors

SUFFIXES = ('.onnx', '.xml')
SETTINGS = 'instbox'  # the key of the settings in the file
INPUT, OUTPUTS = 'image', ('scores', 'boxes')
# what surrounds the 64 digits of the checksum; for ONNX the protobuf of the entry: field 14 of the
# model, 82 bytes; its field 1, a key of 14 bytes; its field 2, a value of 64 bytes
CHECKSUMS = {'.onnx': (b'\x72\x52\x0a\x0einstbox_sha256\x12\x40', b''),
             '.xml': (b'<!-- instbox_sha256 ', b' -->\n')}


def add_checksum(content: bytes, suffix: str, weights: bytes = b'') -> bytes:
    """Appends a checksum to the content of an ONNX file, or of OpenVINO's XML and ``weights``."""
    before, after = CHECKSUMS[suffix]
    return content + before + hashlib.sha256(content + weights).hexdigest().encode() + after


def check_checksum(content: bytes, suffix: str, source: str, weights: bytes = b'') -> str:
    """Returns the hexadecimal digest that :func:`add_checksum` appended; raises BrokenExportError
    if there is none, or the file has changed."""
    before, after = CHECKSUMS[suffix]
    body = content[:-(len(before) + 64 + len(after))]
    if before not in content[len(body):]:
        raise BrokenExportError(f'{source}: this file was not written by `instbox export`, or its '
                                'end is missing; export the model again.')
    if content != add_checksum(body, suffix, weights):
        raise BrokenExportError(f'{source}: the file is broken or has changed since it was '
                                'exported; export the model again.')
    return content[len(body) + len(before):][:64].decode()


def is_exported(model: Any) -> bool:
    """Whether this names the file of an exported model."""
    return isinstance(model, str | Path) and Path(model).suffix.lower() in SUFFIXES


def import_runtime(name: str) -> ModuleType:
    """Imports a library that runs or writes exported models; raises MissingPackageError."""
    with convert_errors(f"{name} is not installed: pip install 'mmseg_instbox[export]'",
                        ImportError, to=MissingPackageError):
        return import_module(name)


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise MissingFileError(f'{path}: no such file.')
    with convert_errors(f'{path}: the file cannot be read', OSError):
        return path.read_bytes()


class Session:
    """Runs an exported model, see :class:`~mmseg_instbox.deploy.ExportedModel`; raises what that
    raises.

    Args:
        path: The file, ``.onnx``, or ``.xml`` with one of the same name that ends in ``.bin``.
        device: 'cpu' by default; of ONNX Runtime also 'cuda', of OpenVINO a name that it has, such
            as 'gpu'.

    Attributes:
        settings: The settings in the file, as JSON.
        digest: Hexadecimal SHA-256 of the file's content.
    """

    def __init__(self, path: str | Path, device: str | None = None) -> None:
        self.path, device = Path(path), str(device or 'cpu')
        onnx = self.path.suffix.lower() == '.onnx'
        content = _read(self.path)
        weights = b'' if onnx else _read(self.path.with_suffix('.bin'))
        self.digest = check_checksum(content, '.onnx' if onnx else '.xml', str(path), weights)
        # any error: the libraries have no common class of their exceptions
        self._problem = f'{path}: its graph cannot be run; export the model again'
        with convert_errors(self._problem, to=BrokenExportError):
            self._run, self.settings = (_open_onnx(content, device) if onnx else
                                        _open_openvino(content, weights, device))

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns logits ``(N, C, h, w)`` and boxes ``(N, 4, h', w')``, float32, of normalised
        images ``(N, 3, H, W)`` float32; raises BrokenExportError if the graph cannot be run."""
        with convert_errors(self._problem, to=BrokenExportError):
            return tuple(self._run(images))


Run = Callable[[np.ndarray], Sequence[np.ndarray]]


def _open_onnx(content: bytes, device: str) -> tuple[Run, str]:
    """Opens the graph with as many threads as torch has; returns what runs it, and its settings.

    The file is read whole, so it cannot refer to other files.
    """
    runtime = import_runtime('onnxruntime')
    kind, _, number = device.partition(':')
    provider = {'cpu': 'CPUExecutionProvider', 'cuda': 'CUDAExecutionProvider'}.get(kind)
    if provider not in runtime.get_available_providers():
        raise InvalidInputError(f'This ONNX Runtime cannot compute on {device!r}: use cpu, or '
                                'install onnxruntime-gpu for cuda.')
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # threads that spin while they wait for the next image slow down the grouping of this one
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    options.log_severity_level = 4
    settings = dict(device_id=number or 0) if kind == 'cuda' else {}
    session = runtime.InferenceSession(content, options, providers=[(provider, settings)])
    return (lambda images: session.run(OUTPUTS, {INPUT: images}),
            session.get_modelmeta().custom_metadata_map[SETTINGS])


@cache
def openvino_core() -> Any:
    """Returns OpenVINO's core, one per process.

    If the last core of a process is destroyed in another thread than it was made in, OpenVINO
    unmaps the signal stack of the latter, and the next signal ends the process.
    """
    return import_runtime('openvino').Core()


def _open_openvino(content: bytes, weights: bytes, device: str) -> tuple[Run, str]:
    """Opens the graph; returns what runs it, and its settings."""
    core, runtime = openvino_core(), import_runtime('openvino')
    kinds = {each.partition('.')[0] for each in core.available_devices}
    if device.upper().partition(':')[0] not in kinds:
        raise InvalidInputError(f'This OpenVINO cannot compute on {device!r}; it has '
                                f'{", ".join(core.available_devices).lower()}.')
    hints = dict(PERFORMANCE_HINT='LATENCY', INFERENCE_PRECISION_HINT='f32')
    if device == 'cpu':
        hints['INFERENCE_NUM_THREADS'] = torch.get_num_threads()
    model = core.read_model(content.decode(), runtime.Tensor(np.frombuffer(weights, np.uint8)))
    settings = str(model.get_rt_info([SETTINGS, 'settings']).value)
    compiled = core.compile_model(model, device.upper().replace(':', '.'), hints)

    def run(images: np.ndarray) -> list[np.ndarray]:
        found = compiled.create_infer_request().infer({INPUT: images})
        return [found[name] for name in OUTPUTS]

    return run, settings
