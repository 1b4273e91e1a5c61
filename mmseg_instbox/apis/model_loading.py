"""The model that comes with the package, and what a model's config says of prediction."""
import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from torch import nn

from ..engine.model_index import index_root
from ..errors import InvalidInputError
from ..utils.foreign_errors import convert_errors

PRECISIONS = dict(fp32=None, bf16=torch.bfloat16, fp16=torch.float16)
_LOADING = ('LoadAnnotations', 'LoadInstAnnotations')
_RESIZING = ('Resize', 'ResizeShortestEdge', 'ResizeToMultiple', 'RandomResize')


def default_weights() -> Path:
    """Returns the path of the checkpoint that comes with the package."""
    return index_root() / 'demo' / 'instbox_mobilenet-v2_voc20.pth'


def model_meta(model: nn.Module) -> dict[str, Any]:
    """Returns ``classes``, ``thing_classes`` and ``palette`` of a model; InvalidInputError if it
    finds no instances, or lacks names of categories."""
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


def build_pipeline(cfg: Config, at_own_size: bool) -> Callable[[dict], dict]:
    """Builds the transforms of ``test_pipeline`` or ``test_dataloader``, starting from an array,
    without annotations and, if wanted, without those that scale the image; InvalidInputError if
    that is not possible."""
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


def check_unused(cfg_options: dict | None, cfg: Config) -> None:
    """Raises InvalidInputError if settings change ``test_dataloader`` but not ``test_pipeline``,
    which prediction uses where the config has it."""
    changed = {key.partition('.')[0] for key in cfg_options or ()}
    if 'test_pipeline' in cfg and 'test_dataloader' in changed and 'test_pipeline' not in changed:
        raise InvalidInputError('Prediction uses test_pipeline of this config, not '
                                'test_dataloader: set test_pipeline, for example '
                                '"test_pipeline.1.scale=(640,640)".')


def autocast_dtype(precision: str, model: nn.Module,
                   device: torch.device) -> torch.dtype | None:
    """Returns the type of the network's convolutions, None for float32; InvalidInputError if it is
    unknown, or not available for the model or on the device."""
    if precision not in PRECISIONS:
        raise InvalidInputError(f'precision is one of {tuple(PRECISIONS)}, got {precision!r}.')
    if precision == 'fp16' and device.type == 'cpu':
        raise InvalidInputError("precision='fp16' needs a GPU; on a CPU use 'bf16' or 'fp32'.")
    if precision != 'fp32' and hasattr(model, 'exported'):
        raise InvalidInputError('An exported model has the precision that it was exported with: '
                                f'leave precision={precision!r} out.')
    return PRECISIONS[precision]
