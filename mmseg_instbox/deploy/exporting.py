"""Exports a model as ONNX or OpenVINO."""
import copy
import io
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from torch import Tensor, nn

from ..core.groupers import GROUPERS
from ..errors import ExportError
from ..utils import atomic_write
from ..utils.foreign_errors import convert_errors
from .export_settings import TEST_CFG, ExportSettings, normalise, resize_image
from .fidelity import CELLS, check_fidelity, check_repeatable, noise
from .quantization import quantize
from .sessions import (
    INPUT,
    OUTPUTS,
    SETTINGS,
    SUFFIXES,
    add_checksum,
    import_runtime,
    open_session,
    openvino_core,
)

OPSET = 17
LOADING = ('LoadImageFromFile', 'LoadInstImage', 'LoadImageFromNDArray', 'LoadAnnotations',
           'LoadInstAnnotations', 'PackSegInputs', 'PackInstInputs')


class DenseNetwork(nn.Module):
    """The part of a segmentor that is exported: one forward pass of ``forward_dense``."""

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
        ExportError: The model cannot be exported, the exported model gives other outputs, or there
            are no images to calibrate with.
        MissingPackageError: A library of the extra ``export`` is not installed.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise ExportError(f'{path}: an exported model ends in {" or ".join(SUFFIXES)}.')
    if calibration is not None and not calibration:
        raise ExportError('int8 quantization needs images to calibrate with; give a folder of '
                          'about 100 typical ones.')
    settings = settings_of(model)
    network = DenseNetwork(revert_sync_batchnorm(copy.deepcopy(model).cpu().float())).eval()
    images = calibration and [normalise([resize_image(each, settings)], settings)
                              for each in calibration]
    with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        check_repeatable(network, settings)
        graph = trace(network, settings)
        if images is not None:
            graph = quantize(graph, images)
        written = write_files(graph, settings, Path(folder) / f'model{path.suffix}')
        check_fidelity(open_session(written), network, settings, images)
        if path.suffix == '.xml':
            path.unlink(missing_ok=True)  # the old one does not fit the new weights
            atomic_write(written.with_suffix('.bin').read_bytes(), path.with_suffix('.bin'))
        return atomic_write(written.read_bytes(), path)


def settings_of(model: nn.Module) -> ExportSettings:
    """Collects the settings of a model, as ``load_model`` returns it, from its config.

    Raises:
        ExportError: The model finds no instances, its grouper is not one of ours, or its test
            pipeline has a step that exported models do not support.
    """
    if not hasattr(model, 'forward_dense'):
        raise ExportError(f'{type(model).__name__} finds no instances: only an InstBoxSegmentor '
                          'can be exported.')
    meta = dict(model.dataset_meta)
    meta.update(classes=list(meta['classes']), thing_classes=list(meta['thing_classes']),
                palette=[[int(value) for value in colour] for colour in meta['palette']])
    test_cfg = {key: list(value) if isinstance(value, tuple | list) else value
                for key, value in (model.test_cfg or {}).items() if key in TEST_CFG}
    settings = ExportSettings(
        dataset_meta=meta, thing_ids=list(model.thing_ids), resize=_resize(model.cfg),
        test_cfg=test_cfg, grouper=_grouper(model.cfg), **_preprocessing(model.data_preprocessor))
    settings.check('This model')
    return settings


def _resize(cfg: Config) -> dict[str, Any] | None:
    """Returns how the test pipeline scales images."""
    pipeline = cfg.get('test_pipeline')
    if pipeline is None and 'test_dataloader' in cfg:
        pipeline = cfg.test_dataloader.dataset.get('pipeline')
    resize = None
    for step in pipeline or ():
        kind = str(step['type']).split('.')[-1]
        known = kind == 'Resize' and resize is None and set(step) <= {'type', 'scale', 'keep_ratio'}
        if known and 'scale' in step:
            scale = step['scale']
            scale = [scale, scale] if isinstance(scale, int) else list(scale)
            resize = dict(scale=scale, keep_ratio=bool(step.get('keep_ratio', False)))
        elif kind not in LOADING:
            raise ExportError(f'The test pipeline has the step {dict(step)}, which exported models '
                              'do not support: only one Resize with scale and keep_ratio may be '
                              'between loading and packing.')
    return resize


def _preprocessing(preprocessor: nn.Module) -> dict[str, Any]:
    """Returns normalisation and padding of mmseg's data preprocessor."""
    if not hasattr(preprocessor, '_channel_conversion'):
        raise ExportError(f'{type(preprocessor).__name__} is no SegDataPreProcessor, whose '
                          'normalisation could be exported.')
    test_cfg = dict(preprocessor.test_cfg or {})
    padding = dict(size=list(test_cfg['size'])) if test_cfg.get('size') else dict(
        size_divisor=test_cfg.get('size_divisor') or 1)
    normalises = preprocessor._enable_normalize
    mean, std = ((getattr(preprocessor, name).flatten().tolist() if normalises else [start] * 3)
                 for name, start in (('mean', 0.), ('std', 1.)))
    return dict(mean=mean, std=std, bgr_to_rgb=bool(preprocessor._channel_conversion),
                padding=dict(padding, value=preprocessor.pad_val))


def _grouper(cfg: Config) -> dict[str, Any]:
    grouper = dict((cfg.get('model') or {}).get('grouper') or dict(type='PixelBoxGrouper'))
    grouper['type'] = str(grouper['type']).split('.')[-1]
    if grouper['type'] not in GROUPERS:
        raise ExportError(f'{grouper["type"]} is a custom grouper, which exported models do not '
                          f'support; they support {", ".join(GROUPERS)}.')
    return grouper


def trace(network: DenseNetwork, settings: ExportSettings) -> bytes:
    """Exports the network as an ONNX graph with dynamic batch and size; raises ExportError if ONNX
    cannot express it."""
    import_runtime('onnx')
    free = {INPUT: {0: 'batch', 2: 'height', 3: 'width'}} | {
        name: {0: 'batch', 2: f'{name}_height', 3: f'{name}_width'} for name in OUTPUTS}
    parts = [getattr(network.model, name, None) for name in ('backbone', 'decode_head')]
    names = ' with '.join(type(part).__name__ for part in parts if part is not None)
    buffer = io.BytesIO()
    with warnings.catch_warnings(), convert_errors(f'{names} cannot be expressed in ONNX',
                                                   to=ExportError):
        warnings.simplefilter('ignore')  # of sizes that become constants; they are checked
        torch.onnx.export(
            network, (noise(settings, *CELLS[0]), ), buffer, dynamo=False, opset_version=OPSET,
            input_names=[INPUT], output_names=list(OUTPUTS), dynamic_axes=free)
    return buffer.getvalue()


def write_files(graph: bytes, settings: ExportSettings, path: Path) -> Path:
    """Writes a graph with its settings and a checksum, as ``.onnx`` or as ``.xml`` and ``.bin``."""
    if path.suffix == '.onnx':
        model = import_runtime('onnx').load_from_string(graph)
        model.metadata_props.add(key=SETTINGS, value=settings.to_json())
        path.write_bytes(add_checksum(model.SerializeToString(), '.onnx'))
        return path
    model = openvino_core().read_model(graph)
    model.set_rt_info(settings.to_json(), [SETTINGS, 'settings'])
    import_runtime('openvino').save_model(model, path, compress_to_fp16=False)
    path.write_bytes(add_checksum(path.read_bytes(), '.xml', path.with_suffix('.bin').read_bytes()))
    return path
