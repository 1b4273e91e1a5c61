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

from mmseg_instbox.errors import InvalidInputError

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
            logits, boxes = (_whole_grid(each, tile, img_shape) for each in (logit, box))
            count, depth = torch.zeros_like(logits[0, 0]), torch.full_like(boxes[0, 0], -1)
        rows, cols = _cells_of_tile(logit, tile, (y, x))
        logits[..., rows, cols] += logit
        count[rows, cols] += 1
        rows, cols = _cells_of_tile(box, tile, (y, x))
        distance = torch.minimum(border_distance(rows.start, box.shape[-2], len(depth))[:, None],
                                 border_distance(cols.start, box.shape[-1], depth.shape[1]))
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


def _whole_grid(grid: Tensor, tile: Tensor, img_shape: tuple[int, int]) -> Tensor:
    """Zeros in the shape of the image's grid, from the grid ``(N, C, h, w)`` of a tile."""
    sides = zip(img_shape, grid.shape[-2:], tile.shape[-2:], strict=True)
    return grid.new_zeros((*grid.shape[:2], *(size * cells // pixels
                                              for size, cells, pixels in sides)))


def _cells_of_tile(grid: Tensor, tile: Tensor, origin: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of the image's grid that the grid of a tile at pixel ``origin`` fills."""
    sides = zip(origin, grid.shape[-2:], tile.shape[-2:], strict=True)
    return tuple(slice(at * cells // pixels, at * cells // pixels + cells)
                 for at, cells, pixels in sides)


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
