"""Checks and completes the settings of an inferencer."""
import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmengine.dataset import Compose
from torch import nn

from ..errors import InvalidInputError, MissingFileError
from ..utils.foreign_errors import convert_errors

PRECISIONS = dict(fp32=None, bf16=torch.bfloat16, fp16=torch.float16)
DEFAULT_WEIGHTS = 'demo/instbox_mobilenet-v2_voc20.pth'
_RESIZING = ('Resize', 'ResizeShortestEdge', 'ResizeToMultiple', 'RandomResize')
_LOADING = ('LoadAnnotations', 'LoadInstAnnotations')


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
    classes = meta.get('classes')
    if not classes or len(classes) < model.num_classes:
        raise InvalidInputError(f'The model has {model.num_classes} categories but names for '
                                f'{len(classes or ())}: its checkpoint lacks dataset_meta, or '
                                'belongs to another data set. Set '
                                'model.dataset_meta=dict(classes=...).')
    meta['thing_classes'] = tuple(classes[index] for index in model.thing_ids)
    return meta


def build_pipeline(cfg: Any, at_own_size: bool) -> Callable[[dict], dict]:
    """Builds the transforms of :func:`test_pipeline`.

    Raises:
        ValueError: The config has no test pipeline that can be built.
    """
    with convert_errors('test_pipeline of the config cannot be built'):
        return Compose(test_pipeline(cfg, at_own_size))


def test_pipeline(cfg: Any, at_own_size: bool) -> list[dict]:
    """Returns the test transforms, starting from an array and without annotations.

    Args:
        cfg: Config with ``test_pipeline``, or with the pipeline in ``test_dataloader``.
        at_own_size: Whether to leave out those that scale the image.

    Raises:
        ValueError: The config has no test pipeline.
    """
    pipeline = cfg.get('test_pipeline')
    if pipeline is None and 'test_dataloader' in cfg:
        with convert_errors('test_dataloader of the config describes no data set', TypeError,
                            AttributeError, KeyError):
            pipeline = cfg.test_dataloader.dataset.get('pipeline')
    if not pipeline:
        raise InvalidInputError('The config has no test_pipeline, which says how images are scaled '
                                'and packed: add one.')
    if not isinstance(pipeline, list | tuple) or not all(
            isinstance(each, dict) and 'type' in each for each in pipeline):
        raise InvalidInputError(f'test_pipeline of the config is {str(pipeline)[:200]}, expected a '
                                'list of transforms, dict(type=...) each.')
    left_out = _LOADING + (_RESIZING if at_own_size else ())
    loader, *others = copy.deepcopy(list(pipeline))
    first = dict(type='LoadImageFromNDArray', to_float32=loader.get('to_float32', False))
    return [first, *(each for each in others if str(each['type']).split('.')[-1] not in left_out)]


def autocast_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """Returns the type of the network's convolutions, None for float32.

    Raises:
        ValueError: The precision is unknown or not available on the device.
    """
    if precision not in PRECISIONS:
        raise InvalidInputError(f'precision is one of {tuple(PRECISIONS)}, got {precision!r}.')
    if precision == 'fp16' and device.type == 'cpu':
        raise InvalidInputError("precision='fp16' needs a GPU; on a CPU use 'bf16' or 'fp32'.")
    return PRECISIONS[precision]


def check_exported(model: nn.Module, precision: str) -> None:
    """Raises a ValueError for another precision than that of an exported model."""
    if precision != 'fp32' and hasattr(model, 'exported'):
        raise InvalidInputError('An exported model has the precision that it was exported with: '
                                f'leave precision={precision!r} out.')
