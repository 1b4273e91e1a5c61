"""Exported models as functions on arrays, whatever library runs them."""
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from ..errors import BrokenExportError, InvalidInputError, MissingFileError, MissingPackageError
from .seal import check_seal

SUFFIXES = ('.onnx', '.xml')
SETTINGS = 'instbox'  # the key of the settings in the file
INPUT, OUTPUTS = 'image', ('scores', 'boxes')


def is_exported(model: Any) -> bool:
    """Whether this is the name of an exported model's file."""
    return isinstance(model, str | Path) and Path(model).suffix.lower() in SUFFIXES


def import_runtime(name: str) -> ModuleType:
    """A library that runs or writes exported models.

    Raises:
        ImportError: It is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingPackageError(f'{name} is not installed; it comes with the extra: pip install '
                                  "'mmseg_instbox[export]'.") from error


def read_file(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        FileNotFoundError: It is not there.
        ValueError: It cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise MissingFileError(f'{path}: no such file.') from error
    except OSError as error:
        raise InvalidInputError(f'{path}: the file cannot be read ({error.strerror}).') from error


class Session:
    """What the two kinds of sessions have in common.

    Attributes:
        settings: Text of the settings in the file.
        digest: Hexadecimal SHA-256 of what is in the file.
    """
    settings: str
    digest: str

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Category scores ``(N, C, h, w)`` and boxes ``(N, 4, h', w')``, float32, of images
        ``(N, 3, H, W)`` float32."""
        raise NotImplementedError

    def _broken(self, error: Exception) -> BrokenExportError:
        reason = ' '.join(str(error).split())[:200] or type(error).__name__
        return BrokenExportError(f'{self.path}: the graph in it cannot be run ({reason}); export '
                                 'the model again.')


class OnnxSession(Session):
    """An ONNX file, run by ONNX Runtime.

    Args:
        path: The file. It is read here, whole: it cannot refer to others.
        device: 'cpu', or 'cuda' for a GPU.

    Raises:
        ValueError: A broken file, or a device that ONNX Runtime does not have.
    """

    def __init__(self, path: Path, device: str = 'cpu') -> None:
        super().__init__(path)
        runtime = import_runtime('onnxruntime')
        content = read_file(path)
        self.digest = check_seal(content, '.onnx', str(path))
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        # threads that wait busily for the next image take the cores from the grouping of this one
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
    """Where ONNX Runtime computes."""
    kind, _, number = device.partition(':')
    if kind == 'cpu':
        return ['CPUExecutionProvider']
    if kind == 'cuda' and 'CUDAExecutionProvider' in runtime.get_available_providers():
        return [('CUDAExecutionProvider', dict(device_id=int(number or 0)))]
    raise InvalidInputError(f'This ONNX Runtime cannot compute on {device!r}: use cpu, or install '
                            'onnxruntime-gpu for cuda.')


@cache
def openvino_core() -> Any:
    """OpenVINO's core, one for as long as this process lives.

    Where the last core of a process goes in another thread than the one that made it, OpenVINO
    unmaps the stack on which the latter handles signals, and the next signal ends the process.

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
        ValueError: A broken file, or a device that OpenVINO does not have.
        FileNotFoundError: A file is missing.
    """

    def __init__(self, path: Path, device: str = 'cpu') -> None:
        super().__init__(path)
        runtime = import_runtime('openvino')
        content, weights = read_file(path), read_file(path.with_suffix('.bin'))
        self.digest = check_seal(content, '.xml', str(path), weights)
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
    """An exported model, ready to run.

    Args:
        path: A file that ends in ``.onnx`` or ``.xml``.
        device: Where it runs; the CPU by default, with as many threads as torch has.

    Raises:
        ValueError: A broken file, or a device that is not there.
        FileNotFoundError: There is no such file.
        ImportError: The library that runs it is not installed.
    """
    kind = OnnxSession if Path(path).suffix.lower() == '.onnx' else OpenVinoSession
    return kind(Path(path), str(device or 'cpu'))
