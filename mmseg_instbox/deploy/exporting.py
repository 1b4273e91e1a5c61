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

from ..core.box_iou import box_iou
from ..core.groupers import GROUPERS, configured_grouper
from ..errors import BrokenExportError, ExportError
from ..utils import atomic_write
from ..utils.foreign_errors import convert_errors
from .export_settings import TEST_CFG, ExportSettings, normalise, padded_shape, resize_image
from .quantization import quantize
from .sessions import (
    INPUT,
    OUTPUTS,
    SETTINGS,
    SUFFIXES,
    Session,
    add_checksum,
    import_runtime,
    openvino_core,
)

OPSET = 17
LOADING = ('LoadImageFromFile', 'LoadInstImage', 'LoadImageFromNDArray', 'LoadAnnotations',
           'LoadInstAnnotations', 'PackSegInputs', 'PackInstInputs')
# Test inputs: batch size, and height and width in units of 64 pixels.
CELLS = ((2, (4, 5)), (1, (5, 3)), (3, (3, 4)))
TOLERANCE = 1e-3  # relative to the largest value
LEAST_AGREEMENT = 0.9  # share of cells whose category int8 must keep
NOT_WRITTEN = 'Nothing was written: this architecture cannot be exported with free sizes'


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
    network = dense_network(model)
    images = [normalise([resize_image(each, settings)], settings) for each in calibration or ()]
    with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        check_repeatable(network, settings)
        graph = trace(network, settings)
        if images:
            graph = quantize(graph, images)
        written = write_files(graph, settings, Path(folder) / f'model{path.suffix}')
        if images:
            check_agreement(Session(written), network, images[:16])
        else:
            check_fidelity(Session(written), network, settings)
        if path.suffix == '.xml':
            path.unlink(missing_ok=True)  # the old one does not fit the new weights
            atomic_write(written.with_suffix('.bin').read_bytes(), path.with_suffix('.bin'))
        return atomic_write(written.read_bytes(), path)


def dense_network(model: nn.Module) -> nn.Module:
    """A copy of a segmentor on the CPU, whose call is one forward pass of ``forward_dense``."""
    network = revert_sync_batchnorm(copy.deepcopy(model).cpu().float()).eval()
    network.forward = network.forward_dense
    return network


def settings_of(model: nn.Module) -> ExportSettings:
    """Collects the settings of a model, as ``load_model`` returns it, from its config.

    Raises:
        ExportError: The model finds no instances, its grouper is not one of ours, its test
            pipeline has a step that exported models do not support, or a setting is invalid.
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
    if invalid := settings.find_invalid():
        raise ExportError(f'This model cannot be exported with its settings ({invalid}): correct '
                          'its config.')
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
    test_cfg = dict(preprocessor.test_cfg or {})
    padding = dict(size=list(test_cfg['size'])) if test_cfg.get('size') else dict(
        size_divisor=test_cfg.get('size_divisor') or 1)
    normalises = preprocessor._enable_normalize
    mean, std = ((getattr(preprocessor, name).flatten().tolist() if normalises else [start] * 3)
                 for name, start in (('mean', 0.), ('std', 1.)))
    return dict(mean=mean, std=std, bgr_to_rgb=bool(preprocessor._channel_conversion),
                padding=dict(padding, value=preprocessor.pad_val))


def _grouper(cfg: Config) -> dict[str, Any]:
    grouper = configured_grouper(cfg)
    grouper['type'] = str(grouper['type']).split('.')[-1]
    if grouper['type'] not in GROUPERS:
        raise ExportError(f'{grouper["type"]} is a custom grouper, which exported models do not '
                          f'support; they support {", ".join(GROUPERS)}.')
    return grouper


def trace(network: nn.Module, settings: ExportSettings) -> bytes:
    """Exports the network as an ONNX graph with dynamic batch and size; raises ExportError if ONNX
    cannot express it."""
    import_runtime('onnx')
    free = {INPUT: {0: 'batch', 2: 'height', 3: 'width'}} | {
        name: {0: 'batch', 2: f'{name}_height', 3: f'{name}_width'} for name in OUTPUTS}
    parts = [getattr(network, name, None) for name in ('backbone', 'decode_head')]
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


def noise(settings: ExportSettings, num: int, cells: tuple[int, int]) -> Tensor:
    """Returns noise ``(num, 3, H, W)``: ``cells`` times 64 pixels, padded as the settings say."""
    shape = padded_shape([64 * each for each in cells], settings)
    return torch.randn((num, 3, *shape), generator=torch.Generator().manual_seed(num))


def check_repeatable(network: nn.Module, settings: ExportSettings) -> None:
    """Raises an ExportError if the network is not deterministic."""
    inputs = noise(settings, *CELLS[0])
    for first, second in zip(network(inputs), network(inputs), strict=True):
        _check_close(second, first, 'The network gives other outputs each time it sees an image, '
                     'as one that draws random numbers (the hamburger head of SegNeXt with '
                     'rand_init=True): no exported model can be compared with it')


def check_fidelity(session: Session, network: nn.Module, settings: ExportSettings) -> None:
    """Raises an ExportError if the exported model gives other outputs than the network, for one of
    several batch sizes and image sizes."""
    for num, cells in CELLS:
        inputs = noise(settings, num, cells)
        for name, mine, its in zip(OUTPUTS, network(inputs), _run(session, inputs), strict=True):
            _check_close(its, mine, f'The exported model gives other {name} than the network for a '
                         f'batch of {tuple(inputs.shape)}. {NOT_WRITTEN}')


def _check_close(found: Tensor, expected: Tensor, problem: str) -> None:
    """Raises an ExportError if two outputs differ by more than ``TOLERANCE``."""
    atol = TOLERANCE * max(float(expected.abs().max()), 1)
    with convert_errors(problem, AssertionError, to=ExportError):
        torch.testing.assert_close(found, expected, rtol=0, atol=atol)


def _run(session: Session, inputs: Tensor) -> list[Tensor]:
    """Runs the exported model, which may fail for other sizes than it was traced with."""
    try:
        return [torch.from_numpy(each) for each in session(inputs.numpy())]
    except BrokenExportError as error:
        raise ExportError(f'The exported model does not run for a batch of {tuple(inputs.shape)}, '
                          f'as happens when sizes become constants. {NOT_WRITTEN}. {error}'
                          ) from error


def check_agreement(session: Session, network: nn.Module, images: Sequence[Tensor]) -> None:
    """Raises an ExportError if an int8 model gives other categories than the network in too many
    cells of its calibration inputs ``images``."""
    same, ious = [], []
    for inputs in images:
        (logits, boxes), found = network(inputs), _run(session, inputs)
        same.append((logits.argmax(1) == found[0].argmax(1)).float().mean())
        ious.append(box_iou(boxes.movedim(1, -1), found[1].movedim(1, -1)).mean())
    share, iou = (float(torch.stack(each).mean()) for each in (same, ious))
    if not share >= LEAST_AGREEMENT:
        raise ExportError(f'With int8 only {share:.0%} of the cells of the calibration '
                          f'images keep their category (boxes: mean IoU {iou:.2f}); '
                          f'{LEAST_AGREEMENT:.0%} are expected. Nothing was written: calibrate '
                          'with more images, or export without --int8.')
