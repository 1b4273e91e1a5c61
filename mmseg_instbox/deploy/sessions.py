"""Runs exported models with ONNX Runtime or OpenVINO."""
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from ..errors import BrokenExportError, InvalidInputError, MissingFileError, MissingPackageError
from .checksum import check_checksum

SUFFIXES = ('.onnx', '.xml')
SETTINGS = 'instbox'  # the key of the settings in the file
INPUT, OUTPUTS = 'image', ('scores', 'boxes')


def is_exported(model: Any) -> bool:
    """Whether this names the file of an exported model."""
    return isinstance(model, str | Path) and Path(model).suffix.lower() in SUFFIXES


def import_runtime(name: str) -> ModuleType:
    """Imports a library that runs or writes exported models.

    Raises:
        ImportError: It is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingPackageError(f'{name} is not installed; it comes with the extra: pip install '
                                  "'mmseg_instbox[export]'.") from error


def read_file(path: Path) -> bytes:
    """Reads a file.

    Raises:
        FileNotFoundError: It does not exist.
        ValueError: It cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise MissingFileError(f'{path}: no such file.') from error
    except OSError as error:
        raise InvalidInputError(f'{path}: the file cannot be read ({error.strerror}).') from error


class Session:
    """The base class of sessions.

    Attributes:
        settings: The settings in the file, as JSON.
        digest: Hexadecimal SHA-256 of the file's content.
    """
    settings: str
    digest: str

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns logits ``(N, C, h, w)`` and boxes ``(N, 4, h', w')``, float32, of normalised
        images ``(N, 3, H, W)`` float32."""
        raise NotImplementedError

    def _broken(self, error: Exception) -> BrokenExportError:
        reason = ' '.join(str(error).split())[:200] or type(error).__name__
        return BrokenExportError(f'{self.path}: its graph cannot be run ({reason}); export the '
                                 'model again.')


class OnnxSession(Session):
    """An ONNX file, run by ONNX Runtime.

    Args:
        path: The file. It is read whole, so it cannot refer to other files.
        device: 'cpu', or 'cuda' for a GPU.

    Raises:
        ValueError: The file is broken, or ONNX Runtime lacks the device.
    """

    def __init__(self, path: Path, device: str = 'cpu') -> None:
        super().__init__(path)
        runtime = import_runtime('onnxruntime')
        content = read_file(path)
        self.digest = check_checksum(content, '.onnx', str(path))
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        # threads that spin while they wait for the next image slow down the grouping of this one
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        options.log_severity_level = 4
        try:
            self._session = runtime.InferenceSession(
                content, options, providers=_onnx_providers(runtime, device))
            self.settings = self._session.get_modelmeta().custom_metadata_map[SETTINGS]
        except InvalidInputError:
            raise
        except Exception as error:  # the library has no common class of its exceptions
            raise self._broken(error) from error

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        try:
            return tuple(self._session.run(OUTPUTS, {INPUT: images}))
        except Exception as error:
            raise self._broken(error) from error


def _onnx_providers(runtime: ModuleType, device: str) -> list:
    """Returns the execution providers for a device."""
    kind, _, number = device.partition(':')
    if kind == 'cpu':
        return ['CPUExecutionProvider']
    if kind == 'cuda' and 'CUDAExecutionProvider' in runtime.get_available_providers():
        return [('CUDAExecutionProvider', dict(device_id=int(number or 0)))]
    raise InvalidInputError(f'This ONNX Runtime cannot compute on {device!r}: use cpu, or install '
                            'onnxruntime-gpu for cuda.')


@cache
def openvino_core() -> Any:
    """Returns OpenVINO's core, one per process.

    If the last core of a process is destroyed in another thread than it was made in, OpenVINO
    unmaps the signal stack of the latter, and the next signal ends the process.

    Raises:
        ImportError: OpenVINO is not installed.
    """
    return import_runtime('openvino').Core()


class OpenVinoSession(Session):
    """An OpenVINO model: an XML file and, beside it, one of the same name that ends in ``.bin``.

    Args:
        path: The XML file.
        device: 'cpu', or a name that OpenVINO has, such as 'gpu'.

    Raises:
        ValueError: The file is broken, or OpenVINO lacks the device.
        FileNotFoundError: A file does not exist.
    """

    def __init__(self, path: Path, device: str = 'cpu') -> None:
        super().__init__(path)
        runtime = import_runtime('openvino')
        content, weights = read_file(path), read_file(path.with_suffix('.bin'))
        self.digest = check_checksum(content, '.xml', str(path), weights)
        core = openvino_core()
        if device.upper().partition(':')[0] not in {each.partition('.')[0]
                                                    for each in core.available_devices}:
            raise InvalidInputError(f'This OpenVINO cannot compute on {device!r}; it has '
                                    f'{", ".join(core.available_devices).lower()}.')
        hints = dict(PERFORMANCE_HINT='LATENCY', INFERENCE_PRECISION_HINT='f32')
        if device == 'cpu':
            hints['INFERENCE_NUM_THREADS'] = torch.get_num_threads()
        try:
            model = core.read_model(content.decode(), runtime.Tensor(
                np.frombuffer(weights, np.uint8)))
            self.settings = str(model.get_rt_info([SETTINGS, 'settings']).value)
            self._compiled = core.compile_model(model, device.upper().replace(':', '.'), hints)
        except Exception as error:  # the library raises RuntimeError and others
            raise self._broken(error) from error

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        try:
            found = self._compiled.create_infer_request().infer({INPUT: images})
            return tuple(found[name] for name in OUTPUTS)
        except Exception as error:
            raise self._broken(error) from error


def open_session(path: str | Path, device: str | None = None) -> Session:
    """Opens an exported model.

    Args:
        path: A file that ends in ``.onnx`` or ``.xml``.
        device: Where it runs; the CPU by default, with as many threads as torch has.

    Raises:
        ValueError: The file is broken, or the device is not available.
        FileNotFoundError: The file does not exist.
        ImportError: The library that runs it is not installed.
    """
    kind = OnnxSession if Path(path).suffix.lower() == '.onnx' else OpenVinoSession
    return kind(Path(path), str(device or 'cpu'))
