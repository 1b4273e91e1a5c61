"""Categories and boxes of whole images, in the ways that ``test_cfg`` knows."""
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mmseg_instbox.errors import InvalidInputError

from .dense_prediction import DensePrediction, flipped_dims, move_padding, to_original
from .shifted_copies import Forward, forward_shifted
from .tiles import forward_tiled


def predict_dense(forward: Forward, inputs: Tensor, metainfos: list[dict],
                  test_cfg: Mapping[str, Any],
                  find_strides: Callable[[], tuple[int, int]]) -> list[DensePrediction]:
    """Categories and boxes of each cell, without grouping.

    Args:
        forward: Takes ``(N, 3, H, W)``, gives logits ``(N, C, h, w)`` and boxes ``(N, 4, h', w')``
            in pixels of its input.
        inputs: ``(N, 3, H, W)``, padded at the right and bottom only.
        metainfos: ``img_shape`` (without padding), ``ori_shape``, ``flip`` and ``flip_direction``
            of each; missing sizes mean that of ``inputs``.
        test_cfg: ``mode``, ``crop_size``, ``stride`` and ``shifts`` as of ``InstBoxSegmentor``.
        find_strides: Gives the feature strides of logits and boxes, for tiles and shifts.

    Returns:
        list[DensePrediction]: In pixels of the original images, mirror images mapped back.

    Raises:
        ValueError: Tiles or shifts and a network whose feature stride does not allow them, or an
            unknown direction of flipping.
    """
    full_shape = tuple(inputs.shape[-2:])
    metainfos = [dict(img_shape=full_shape) | meta for meta in metainfos]
    mode, shifts = test_cfg.get('mode', 'whole'), test_cfg.get('shifts', 1)
    if mode == 'slide' or shifts > 1:
        strides = find_strides()
        inputs = _pad_to_multiple(inputs, max(strides))
        if mode == 'slide':
            forward = partial(forward_tiled, forward, crop_size=test_cfg['crop_size'],
                              step=test_cfg['stride'], stride=max(strides))
        if shifts > 1:
            forward = partial(forward_shifted, forward, stride=strides[1], num=shifts)
    logits, boxes = forward(_align_flipped(inputs, metainfos))
    input_shape = tuple(inputs.shape[-2:])
    return [to_original(logit, box, input_shape, meta)
            for logit, box, meta in zip(logits, boxes, metainfos, strict=True)]


def check_test_cfg(test_cfg: Mapping[str, Any]) -> None:
    """Raises a ValueError for settings of ``InstBoxSegmentor.test_cfg`` that cannot be."""
    mode, shifts = test_cfg.get('mode', 'whole'), test_cfg.get('shifts', 1)
    if mode not in ('whole', 'slide'):
        raise InvalidInputError(f"test_cfg.mode is 'whole' or 'slide', got {mode!r}")
    if not isinstance(shifts, int) or shifts < 1:
        raise InvalidInputError('test_cfg.shifts is a number of copies a direction, 1 or more, got '
                                f'{shifts!r}')
    if mode == 'whole':
        return
    sizes = [test_cfg.get(key) for key in ('crop_size', 'stride')]
    if not all(_is_pair(size) for size in sizes):
        raise InvalidInputError("test_cfg of mode='slide' needs crop_size=(height, width) and "
                                f'stride=(down, right) in pixels, got crop_size={sizes[0]!r} and '
                                f'stride={sizes[1]!r}')
    if any(step > size for size, step in zip(*sizes, strict=True)):
        raise InvalidInputError(f'test_cfg.stride {sizes[1]} leaves gaps between tiles of '
                                f'crop_size {sizes[0]}: it must not be larger')


def _is_pair(size: object) -> bool:
    """Whether this is a height and a width of whole positive pixels."""
    return (isinstance(size, (tuple, list)) and len(size) == 2
            and all(isinstance(side, int) and side > 0 for side in size))


def _pad_to_multiple(inputs: Tensor, divisor: int) -> Tensor:
    """Pads height and width of ``(N, 3, H, W)`` with zeros, at the bottom and right."""
    height, width = inputs.shape[-2:]
    return F.pad(inputs, (0, -width % divisor, 0, -height % divisor))


def _align_flipped(inputs: Tensor, metainfos: list[dict]) -> Tensor:
    """Moves the padding of mirror images, see :func:`.dense_prediction.move_padding`."""
    dims = [flipped_dims(meta) for meta in metainfos]
    if not any(dims):
        return inputs
    return torch.stack([move_padding(image, meta['img_shape'], dim) if dim else image
                        for image, meta, dim in zip(inputs, metainfos, dims, strict=True)])
