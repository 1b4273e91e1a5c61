"""A network with a finer feature stride, simulated by shifted copies of the image.

A network of feature stride ``s`` that sees k x k copies of the image, ``s / k`` pixels apart, gives
k x k grids that interleave to one of stride ``s / k`` (arXiv 1604.04339, section 3). The copies lie
around the image as it is, so that a cell of the finer grid stands for the same point as
:func:`~mmseg_instbox.core.feature_grid.cell_points` says.
"""
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from mmseg_instbox.errors import InvalidInputError

Forward = Callable[[Tensor], tuple[Tensor, Tensor]]
_PROBE = 224  # a multiple of every feature stride up to 32, and of 14


def feature_strides(forward: Forward, inputs: Tensor) -> tuple[int, int]:
    """Feature strides of the category scores and of the boxes, found by a look at the grids.

    Args:
        forward: Takes ``(N, 3, H, W)``, gives logits ``(N, C, h, w)`` and boxes ``(N, 4, h', w')``.
        inputs: Any input, for its channels, dtype and device.

    Raises:
        ValueError: A grid that does not divide an input of 224 x 224 pixels evenly.
    """
    grids = forward(inputs.new_zeros((1, inputs.shape[1], _PROBE, _PROBE)))
    strides = [_PROBE // grid.shape[-1] for grid in grids]
    for grid, stride in zip(grids, strides, strict=True):
        if any(side * stride != _PROBE for side in grid.shape[-2:]):
            raise InvalidInputError('Shifted copies and tiles need a network whose grid divides '
                                    f'its input evenly; one of {_PROBE} x {_PROBE} pixels gave '
                                    f"{tuple(grid.shape[-2:])} cells: use mode='whole' without "
                                    'shifts')
    return tuple(strides)


def shift_offsets(stride: int, num: int) -> list[int]:
    """Where the copies start, in pixels from the image's corner.

    Cell i of copy a is cell ``i * num + a`` of the finer grid, whose centre lies
    ``(i * num + a + 0.5) * stride / num`` pixels from the corner; it is centre i of the coarse grid
    when the copy starts at ``(a - (num - 1) / 2) * stride / num``.

    Args:
        stride: Feature stride of the network.
        num: Number of copies a direction.

    Raises:
        ValueError: These are not whole pixels.
    """
    step = stride // num
    if stride % num or step * (num - 1) % 2:
        fit = [k for k in range(1, stride + 1)
               if stride % k == 0 and stride // k * (k - 1) % 2 == 0]
        raise InvalidInputError(f'test_cfg.shifts={num} moves the image by fractions of a pixel at '
                                f'feature stride {stride}; choose one of {fit}')
    return [step * i - step * (num - 1) // 2 for i in range(num)]


def interleave(grids: list[Tensor], num: int) -> Tensor:
    """One fine grid from those of all copies.

    Args:
        grids: ``num * num`` grids ``(N, C, h, w)``, the copy's vertical place first.
        num: Number of copies a direction.

    Returns:
        Tensor: ``(N, C, h * num, w * num)``.
    """
    return F.pixel_shuffle(torch.stack(grids, dim=2).flatten(1, 2), num)


def forward_shifted(forward: Forward, inputs: Tensor, stride: int,
                    num: int) -> tuple[Tensor, Tensor]:
    """Logits and boxes of a feature stride ``num`` times finer than the network's.

    The copies are forwarded one after another, so memory stays that of one. Both results lie on the
    grid of the boxes; logits of another stride are interpolated to it.

    Args:
        forward: Takes ``(N, 3, H, W)``, gives logits ``(N, C, h, w)`` and boxes ``(N, 4, h', w')``.
        inputs: ``(N, 3, H, W)``, sizes multiples of ``stride``.
        stride: Feature stride of the boxes.
        num: Number of copies a direction.

    Returns:
        tuple: ``(N, C, H / stride * num, W / stride * num)`` logits, and boxes of that size in
            pixels of ``inputs``.
    """
    logits, boxes = [], []
    offsets = shift_offsets(stride, num)
    for y in offsets:
        for x in offsets:
            logit, box = forward(shift_image(inputs, y, x))
            logits.append(resize_grid(logit, box.shape[-2:]))
            boxes.append(box + box.new_tensor([x, y, x, y])[:, None, None])
    return interleave(logits, num), interleave(boxes, num)


def shift_image(images: Tensor, y: int, x: int) -> Tensor:
    """Images ``(N, 3, H, W)`` moved up by ``y`` and left by ``x`` pixels, borders replicated."""
    rows, cols = ((torch.arange(size, device=images.device) + step).clamp(0, size - 1)
                  for size, step in zip(images.shape[-2:], (y, x), strict=True))
    return images.index_select(2, rows).index_select(3, cols)


def resize_grid(grid: Tensor, shape: tuple[int, int]) -> Tensor:
    """Interpolates ``(N, C, h, w)`` to another grid over the same area; the same one stays."""
    if grid.shape[-2:] == tuple(shape):
        return grid
    return F.interpolate(grid, size=tuple(shape), mode='bilinear', align_corners=False)
