"""Loads a model that predicts, whatever kind of file it is in, and what its config says of it."""
import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from torch import nn

from ..deploy.exported_segmentor import ExportedSegmentor
from ..deploy.sessions import is_exported
from ..engine import model_loading
from ..errors import InvalidInputError, MissingFileError
from ..utils.foreign_errors import convert_errors

PRECISIONS = dict(fp32=None, bf16=torch.bfloat16, fp16=torch.float16)
DEFAULT_WEIGHTS = 'demo/instbox_mobilenet-v2_voc20.pth'
_LOADING = ('LoadAnnotations', 'LoadInstAnnotations')
_RESIZING = ('Resize', 'ResizeShortestEdge', 'ResizeToMultiple', 'RandomResize')


def load_model(model: str | Path | Config,
               weights: str | Path | None = None,
               device: str | torch.device | None = None,
               cfg_options: dict | None = None,
               allow_pickle: bool = False) -> nn.Module:
    """Builds a model, loads its weights and makes it ready to predict.

    Args:
        model: A file that ``instbox export`` wrote; or a name of the model index, the path of a
            config file, a ``Config``, or a checkpoint that carries its config.
        weights: Checkpoint, as path or http(s) address; by default what the model index has.
        device: By default a GPU if there is one, for exported models the CPU.
        cfg_options: Settings that override the config's, by dotted keys.
        allow_pickle: Trust the checkpoint, and the config in it; both can then run code.

    Returns:
        nn.Module: In eval mode, with ``cfg`` (Config) and ``dataset_meta`` (dict with ``classes``,
        ``thing_classes`` and ``palette``).

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file is broken, is not to be trusted or does not fit, the name is unknown, or
            weights are given for an exported model.
    """
    if not is_exported(model):
        return model_loading.load_model(model, weights, device, cfg_options, allow_pickle)
    if weights is not None:
        raise InvalidInputError(f'{model} is an exported model and has its weights in it: leave '
                                f'{weights} out.')
    init_default_scope('mmseg')
    return ExportedSegmentor(model, device, cfg_options).eval()


def default_weights() -> Path:
    """Returns the path of the checkpoint that comes with the package.

    Raises:
        FileNotFoundError: It does not exist.
    """
    package = Path(__file__).resolve().parents[1]
    for root in (package / '.mim', package.parent):
        if (root / DEFAULT_WEIGHTS).is_file():
            return root / DEFAULT_WEIGHTS
    raise MissingFileError(f'{DEFAULT_WEIGHTS}, the model that comes with the package, does not '
                           "exist: name a model, as in InstBoxInferencer('my_config.py', "
                           "'my_checkpoint.pth').")


def model_meta(model: nn.Module) -> dict[str, Any]:
    """Returns ``classes``, ``thing_classes`` and ``palette`` of a model that finds instances.

    Raises:
        ValueError: The model finds no instances, or lacks names of categories.
    """
    if not hasattr(model, 'forward_dense') or not hasattr(model, 'grouper'):
        raise InvalidInputError(f'{type(model).__name__} finds no instances: the inferencer takes '
                                "an InstBoxSegmentor; for category maps alone use mmseg's "
                                'MMSegInferencer.')
    meta = dict(getattr(model, 'dataset_meta', None) or {})
    classes = meta.get('classes') or ()
    if not len(classes) >= model.num_classes > 0:
        raise InvalidInputError(f'The model has {model.num_classes} categories but names for '
                                f'{len(classes)}: its checkpoint lacks dataset_meta, or belongs to '
                                'another data set. Set model.dataset_meta=dict(classes=...).')
    meta['thing_classes'] = tuple(classes[index] for index in model.thing_ids)
    return meta


def build_pipeline(cfg: Any, at_own_size: bool) -> Callable[[dict], dict]:
    """Builds the test transforms of ``test_pipeline`` or ``test_dataloader``, starting from an
    array, without annotations and, if wanted, without those that scale the image.

    Raises:
        ValueError: The config has no test pipeline that can be built.
    """
    with convert_errors('test_pipeline of the config cannot be built'):
        pipeline = cfg.get('test_pipeline')
        if pipeline is None and 'test_dataloader' in cfg:
            pipeline = cfg.test_dataloader.dataset.get('pipeline')
        if not pipeline:
            raise InvalidInputError('The config has no test_pipeline, which says how images are '
                                    'scaled and packed: add one.')
        left_out = _LOADING + (_RESIZING if at_own_size else ())
        steps = [(str(step['type']).split('.')[-1], step) for step in copy.deepcopy(list(pipeline))]
        first = dict(type='LoadImageFromNDArray', to_float32=steps[0][1].get('to_float32', False))
        return Compose([first, *(step for kind, step in steps[1:] if kind not in left_out)])


def autocast_dtype(precision: str, model: nn.Module,
                   device: torch.device) -> torch.dtype | None:
    """Returns the type of the network's convolutions, None for float32.

    Raises:
        ValueError: The precision is unknown, or not available for the model or on the device.
    """
    if precision not in PRECISIONS:
        raise InvalidInputError(f'precision is one of {tuple(PRECISIONS)}, got {precision!r}.')
    if precision == 'fp16' and device.type == 'cpu':
        raise InvalidInputError("precision='fp16' needs a GPU; on a CPU use 'bf16' or 'fp32'.")
    if precision != 'fp32' and hasattr(model, 'exported'):
        raise InvalidInputError('An exported model has the precision that it was exported with: '
                                f'leave precision={precision!r} out.')
    return PRECISIONS[precision]
