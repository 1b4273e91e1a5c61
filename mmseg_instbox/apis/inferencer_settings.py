"""What an inferencer is set up with, checked."""
import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..core.base_grouper import BaseGrouper
from ..errors import InvalidInputError, MissingFileError
from ..utils.foreign_errors import convert_errors

MAX_MASK_BYTES = 1_200_000_000  # that the masks of an image may take
PRECISIONS = dict(fp32=None, bf16=torch.bfloat16, fp16=torch.float16)
DEFAULT_WEIGHTS = 'demo/instbox_mobilenet-v2_voc20.pth'
_RESIZING = ('Resize', 'ResizeShortestEdge', 'ResizeToMultiple', 'RandomResize')
_LOADING = ('LoadAnnotations', 'LoadInstAnnotations')


def default_weights() -> Path:
    """The checkpoint that comes with the package.

    Raises:
        FileNotFoundError: It is not there.
    """
    package = Path(__file__).resolve().parents[1]
    for root in (package / '.mim', package.parent):
        if (root / DEFAULT_WEIGHTS).is_file():
            return root / DEFAULT_WEIGHTS
    raise MissingFileError(f'{DEFAULT_WEIGHTS}, the model that comes with the package, is not '
                           "there: name a model, as in InstBoxInferencer('my_config.py', "
                           "'my_checkpoint.pth').")


def model_meta(model: nn.Module) -> dict[str, Any]:
    """``classes``, ``thing_classes`` and ``palette`` of a model that finds instances.

    Raises:
        ValueError: It finds none, or has no names of categories.
    """
    if not hasattr(model, 'forward_dense') or not hasattr(model, 'grouper'):
        raise InvalidInputError(f'{type(model).__name__} finds no instances: the inferencer takes '
                                "an InstBoxSegmentor; for category maps alone use mmseg's "
                                'MMSegInferencer.')
    meta = dict(getattr(model, 'dataset_meta', None) or {})
    classes = meta.get('classes')
    if not classes or len(classes) < model.num_classes:
        raise InvalidInputError(f'The model tells {model.num_classes} categories apart and has '
                                f'names for {len(classes or ())}: its checkpoint lacks '
                                'dataset_meta, or is that of another data set. Set '
                                'model.dataset_meta=dict(classes=...).')
    meta['thing_classes'] = tuple(classes[index] for index in model.thing_ids)
    return meta


def build_pipeline(cfg: Any, at_own_size: bool) -> Callable[[dict], dict]:
    """The transforms of :func:`test_pipeline`, built.

    Raises:
        ValueError: The config has no test pipeline that can be built.
    """
    from mmengine.dataset import Compose  # exported models run without MMEngine
    with convert_errors('test_pipeline of the config cannot be built'):
        return Compose(test_pipeline(cfg, at_own_size))


def test_pipeline(cfg: Any, at_own_size: bool) -> list[dict]:
    """The transforms of testing, from an array on and without annotations.

    Args:
        cfg: Config with ``test_pipeline``, or with the pipeline in ``test_dataloader``.
        at_own_size: Leave out those that scale the image.

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


def tile_test_cfg(tile: int | tuple[int, int] | None) -> dict[str, Any]:
    """The settings of testing by tiles of a height and width, half a tile apart.

    Raises:
        ValueError: ``tile`` is no size.
    """
    if tile is None:
        return {}
    size = (tile, tile) if isinstance(tile, int) else tuple(tile)
    if len(size) != 2 or not all(isinstance(side, int) and side >= 64 for side in size):
        raise InvalidInputError('tile is the side of a tile in pixels, or its (height, width), 64 '
                                f'or more; got {tile!r}.')
    return dict(mode='slide', crop_size=size, stride=tuple(side // 2 for side in size))


def autocast_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """The type of the network's convolutions, None for float32.

    Raises:
        ValueError: An unknown precision, or one that the device lacks.
    """
    if precision not in PRECISIONS:
        raise InvalidInputError(f'precision is one of {tuple(PRECISIONS)}, got {precision!r}.')
    if precision == 'fp16' and device.type == 'cpu':
        raise InvalidInputError("precision='fp16' needs a GPU; on a CPU use 'bf16' or 'fp32'.")
    return PRECISIONS[precision]


def check_exported(model: nn.Module, precision: str) -> None:
    """Raises a ValueError if an exported model, whose numbers are settled, is to compute in others.
    """
    if precision != 'fp32' and hasattr(model, 'exported'):
        raise InvalidInputError('An exported model computes in the numbers that it was exported '
                                f'with: leave precision={precision!r} out.')


def check_calls(batch_size: int, on_error: str) -> None:
    """Raises a ValueError for arguments of a call that cannot be."""
    if not isinstance(batch_size, int) or batch_size < 1:
        raise InvalidInputError(f'batch_size is a number of images, 1 or more, got {batch_size!r}.')
    if on_error not in ('raise', 'skip'):
        raise InvalidInputError(f"on_error is 'raise' or 'skip', got {on_error!r}.")


def bounded(grouper: BaseGrouper) -> BaseGrouper:
    """A grouper whose masks take ``MAX_MASK_BYTES``, unless it sets a limit of its own."""
    if getattr(grouper, 'max_mask_bytes', 0) is not None:
        return grouper
    grouper = copy.copy(grouper)
    grouper.max_mask_bytes = MAX_MASK_BYTES
    return grouper
