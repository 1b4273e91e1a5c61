"""Large images tile by tile, with boxes that no tile's border has cut."""
import math

import torch
from torch import Tensor

from .shifted_copies import Forward


def tile_starts(size: int, tile: int, step: int) -> list[int]:
    """Where tiles start along one side, as in mmseg's slide inference.

    The last tile ends with the image; an image smaller than a tile is one tile.
    """
    last = max(size - tile, 0)
    return [min(i * step, last) for i in range(math.ceil(last / step) + 1)]


def border_distance(start: int, length: int, full: int) -> Tensor:
    """Distance of each cell's centre from the borders of its tile, along one side, in cells.

    A border of the image is none: it cuts every tile alike.

    Args:
        start: First cell of the tile.
        length: Cells of the tile.
        full: Cells of the image.

    Returns:
        Tensor: ``(length,)`` float32.
    """
    centre = torch.arange(length) + 0.5
    before = centre if start > 0 else torch.full_like(centre, math.inf)
    after = length - centre if start + length < full else torch.full_like(centre, math.inf)
    return torch.minimum(before, after)


class TiledGrid:
    """A feature grid ``(N, C, h, w)`` of an image that is filled tile by tile.

    Args:
        img_shape: ``(H, W)`` of the image in pixels.
    """

    def __init__(self, img_shape: tuple[int, int]) -> None:
        self.img_shape = img_shape
        self.grid: Tensor | None = None

    def _place(self, tile: Tensor, origin: tuple[int, int],
               tile_shape: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int], tuple]:
        """First cell, size of the image's grid in cells, and the tile's index into it."""
        sides = list(zip(tile.shape[-2:], tile_shape, strict=True))
        first = tuple(at * cells // pixels
                      for at, (cells, pixels) in zip(origin, sides, strict=True))
        full = tuple(size * cells // pixels
                     for size, (cells, pixels) in zip(self.img_shape, sides, strict=True))
        index = tuple(slice(at, at + cells)
                      for at, (cells, _) in zip(first, sides, strict=True))
        if self.grid is None:
            self.grid = tile.new_zeros((*tile.shape[:2], *full))
        return first, full, (..., *index)


class MeanGrid(TiledGrid):
    """Where tiles overlap, their mean."""

    def __init__(self, img_shape: tuple[int, int]) -> None:
        super().__init__(img_shape)
        self.count: Tensor | None = None

    def add(self, tile: Tensor, origin: tuple[int, int], tile_shape: tuple[int, int]) -> None:
        """Adds the grid of a tile that starts at pixel ``origin`` and has ``tile_shape`` pixels."""
        _, full, index = self._place(tile, origin, tile_shape)
        if self.count is None:
            self.count = tile.new_zeros(full)
        self.grid[index] += tile
        self.count[index] += 1

    def result(self) -> Tensor:
        """The grid ``(N, C, h, w)``; nothing may be added after."""
        return self.grid.div_(self.count)


class InnermostGrid(TiledGrid):
    """Where tiles overlap, a cell is that of the tile in which it lies farthest from the border."""

    def __init__(self, img_shape: tuple[int, int]) -> None:
        super().__init__(img_shape)
        self.distance: Tensor | None = None

    def add(self, tile: Tensor, origin: tuple[int, int], tile_shape: tuple[int, int]) -> None:
        """Adds the grid of a tile that starts at pixel ``origin`` and has ``tile_shape`` pixels."""
        first, full, index = self._place(tile, origin, tile_shape)
        if self.distance is None:
            self.distance = tile.new_full(full, -1)
        y, x = (border_distance(at, cells, whole)
                for at, cells, whole in zip(first, tile.shape[-2:], full, strict=True))
        distance = torch.minimum(y[:, None], x[None]).to(tile)
        farther = distance > self.distance[index]
        self.distance[index] = torch.where(farther, distance, self.distance[index])
        self.grid[index] = torch.where(farther, tile, self.grid[index])

    def result(self) -> Tensor:
        """The grid ``(N, C, h, w)``."""
        return self.grid


def forward_tiled(forward: Forward, inputs: Tensor, crop_size: tuple[int, int],
                  step: tuple[int, int], stride: int) -> tuple[Tensor, Tensor]:
    """Logits and boxes of an image, tile by tile.

    Tiles are aligned to the feature grid: ``crop_size`` is rounded up and ``step`` down to
    multiples of ``stride``. Logits are averaged where tiles overlap, as mmseg does, but on the
    grid; of boxes that are in a tile's overlap counts the one of the tile in which the cell lies
    farthest from the border, because a tile that cuts an object cannot know its box.

    Args:
        forward: Takes ``(N, 3, H, W)``, gives logits ``(N, C, h, w)`` and boxes ``(N, 4, h', w')``.
        inputs: ``(N, 3, H, W)``, sizes multiples of ``stride``.
        crop_size: Height and width of a tile in pixels.
        step: Pixels from tile to tile, down and right.
        stride: Feature stride, of the coarser grid where there are two.

    Returns:
        tuple: Logits and boxes as ``forward`` would give for all of ``inputs``.
    """
    img_shape = tuple(inputs.shape[-2:])
    crop = [math.ceil(size / stride) * stride for size in crop_size]
    step = [max(size // stride, 1) * stride for size in step]
    starts = [tile_starts(*sides) for sides in zip(img_shape, crop, step, strict=True)]
    logits, boxes = MeanGrid(img_shape), InnermostGrid(img_shape)
    for y in starts[0]:
        for x in starts[1]:
            tile = inputs[..., y:y + crop[0], x:x + crop[1]]
            logit, box = forward(tile)
            logits.add(logit, (y, x), tile.shape[-2:])
            boxes.add(box + box.new_tensor([x, y, x, y])[:, None, None], (y, x), tile.shape[-2:])
    return logits.result(), boxes.result()
