"""One image in several passes of the network: tiles of it, or shifted copies.

Tiles serve images that are larger than what the network was trained on. Shifted copies simulate a
network with a finer feature stride: one of stride ``s`` that sees k x k copies of the image,
``s / k`` pixels apart, gives k x k grids that interleave to one of stride ``s / k`` (arXiv
1604.04339, section 3). The copies lie around the image as it is, so that a cell of the finer grid
stands for the same point as :func:`~mmseg_instbox.core.feature_grid.cell_points` says.
"""
import itertools
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InvalidInputError
from .feature_grid import resize_grid

# takes images (N, 3, H, W), gives logits (N, C, h, w) and boxes (N, 4, h', w') in their pixels
Forward = Callable[[Tensor], tuple[Tensor, Tensor]]
_PROBE = 224  # a multiple of every feature stride up to 32, and of 14


def feature_strides(forward: Forward, inputs: Tensor) -> tuple[int, int]:
    """Feature strides of the logits and of the boxes, found by a look at the grids.

    ``inputs`` may be any; its channels, dtype and device are taken. Raises a ValueError for a grid
    that does not divide an input of 224 x 224 pixels evenly.
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


def forward_tiled(forward: Forward, inputs: Tensor, crop_size: tuple[int, int],
                  step: tuple[int, int], stride: int) -> tuple[Tensor, Tensor]:
    """Logits and boxes of an image, tile by tile.

    Tiles are aligned to the feature grid: ``crop_size`` is rounded up and ``step`` down to
    multiples of ``stride``. Where tiles overlap, logits are averaged, as mmseg does, but on the
    grid; of the boxes that of the tile counts in which the cell lies farthest from the border,
    because a tile that cuts an object cannot know its box.

    ``inputs`` are ``(N, 3, H, W)``, sizes multiples of ``stride``, that of the coarser grid;
    ``crop_size`` and ``step`` are pixels down and right.
    """
    img_shape = tuple(inputs.shape[-2:])
    crop = [math.ceil(size / stride) * stride for size in crop_size]
    step = [max(size // stride, 1) * stride for size in step]
    starts = [tile_starts(*sides) for sides in zip(img_shape, crop, step, strict=True)]
    logits = boxes = None
    for y, x in itertools.product(*starts):
        tile = inputs[..., y:y + crop[0], x:x + crop[1]]
        logit, box = forward(tile)
        box = box + box.new_tensor([x, y, x, y])[:, None, None]
        if logits is None:
            logits, boxes = (each.new_zeros((*each.shape[:2], *_to_cells(img_shape, each, tile)))
                             for each in (logit, box))
            count, depth = torch.zeros_like(logits[0, 0]), torch.full_like(boxes[0, 0], -1)
        top, left = _to_cells((y, x), logit, tile)
        rows, cols = slice(top, top + logit.shape[-2]), slice(left, left + logit.shape[-1])
        logits[..., rows, cols] += logit
        count[rows, cols] += 1
        top, left = _to_cells((y, x), box, tile)
        rows, cols = slice(top, top + box.shape[-2]), slice(left, left + box.shape[-1])
        distance = torch.minimum(border_distance(top, box.shape[-2], len(depth))[:, None],
                                 border_distance(left, box.shape[-1], depth.shape[1]))
        distance = distance.to(box)
        farther = distance > depth[rows, cols]
        depth[rows, cols] = torch.where(farther, distance, depth[rows, cols])
        boxes[..., rows, cols] = torch.where(farther, box, boxes[..., rows, cols])
    return logits.div_(count), boxes


def tile_starts(size: int, tile: int, step: int) -> list[int]:
    """Where tiles start along one side, as in mmseg's slide inference.

    The last tile ends with the image; an image smaller than a tile is one tile.
    """
    last = max(size - tile, 0)
    return [min(i * step, last) for i in range(math.ceil(last / step) + 1)]


def border_distance(start: int, length: int, full: int) -> Tensor:
    """Distance ``(length,)`` of each cell's centre from the borders of its tile along one side.

    The tile has ``length`` cells from ``start`` on, the image ``full`` cells, whose border is none:
    it cuts every tile alike.
    """
    centre = torch.arange(length) + 0.5
    before = centre if start > 0 else torch.full_like(centre, math.inf)
    after = length - centre if start + length < full else torch.full_like(centre, math.inf)
    return torch.minimum(before, after)


def _to_cells(pixels: tuple[int, int], grid: Tensor, tile: Tensor) -> list[int]:
    """Pixels down and right in cells, as the grid of a tile divides it."""
    return [size * cells // full for size, cells, full in zip(
        pixels, grid.shape[-2:], tile.shape[-2:], strict=True)]


def forward_shifted(forward: Forward, inputs: Tensor, stride: int,
                    num: int) -> tuple[Tensor, Tensor]:
    """Logits and boxes of ``inputs`` ``(N, 3, H, W)``, sizes multiples of ``stride``, at a feature
    stride ``num`` times finer than ``stride``, that of the boxes.

    The copies are forwarded one after another, so memory stays that of one. Both results lie on the
    grid of the boxes.
    """
    logits, boxes = [], []
    for y, x in itertools.product(shift_offsets(stride, num), repeat=2):
        logit, box = forward(shift_image(inputs, y, x))
        logits.append(resize_grid(logit, box.shape[-2:]))
        boxes.append(box + box.new_tensor([x, y, x, y])[:, None, None])
    return interleave(logits, num), interleave(boxes, num)


def shift_offsets(stride: int, num: int) -> list[int]:
    """Where ``num`` copies a direction start, in pixels from the image's corner.

    Cell i of copy a is cell ``i * num + a`` of the finer grid, whose centre lies
    ``(i * num + a + 0.5) * stride / num`` pixels from the corner; it is centre i of the coarse grid
    when the copy starts at ``(a - (num - 1) / 2) * stride / num``.

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


def shift_image(images: Tensor, y: int, x: int) -> Tensor:
    """Images ``(N, 3, H, W)`` moved up by ``y`` and left by ``x`` pixels, borders replicated."""
    rows, cols = ((torch.arange(size, device=images.device) + step).clamp(0, size - 1)
                  for size, step in zip(images.shape[-2:], (y, x), strict=True))
    return images.index_select(2, rows).index_select(3, cols)


def interleave(grids: list[Tensor], num: int) -> Tensor:
    """One fine grid ``(N, C, h * num, w * num)`` from the ``num * num`` grids ``(N, C, h, w)`` of
    all copies, the copy's vertical place first."""
    return F.pixel_shuffle(torch.stack(grids, dim=2).flatten(1, 2), num)
