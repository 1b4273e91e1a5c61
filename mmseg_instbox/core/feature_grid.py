"""Which image point a cell of a feature grid stands for: the one place that defines it.

A grid of ``(h, w)`` cells divides its *extent*, the ``(H, W)`` pixels that it covers, evenly, as
bilinear interpolation with ``align_corners=False`` does; so it agrees with how mmseg resizes
logits, also where the size is not divisible by the stride. Coordinates are continuous: pixel ``k``
covers ``[k, k + 1)``.
"""
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InvalidInputError
from . import VOID


def cell_points(grid_shape: tuple[int, int],
                extent: tuple[float, float],
                device: torch.device | str | None = None) -> Tensor:
    """Centres of the cells in pixels: ``(h, w, 2)`` float32, x and y."""
    (h, w), (height, width) = grid_shape, extent
    y = (torch.arange(h, device=device, dtype=torch.float32) + 0.5) * (height / h)
    x = (torch.arange(w, device=device, dtype=torch.float32) + 0.5) * (width / w)
    return torch.stack([x[None, :].expand(h, w), y[:, None].expand(h, w)], dim=-1)


def sample_at_cells(label_map: Tensor, grid_shape: tuple[int, int],
                    extent: tuple[float, float] | None = None, void: int = VOID) -> Tensor:
    """Value ``(..., h, w)`` of a map at each cell's centre: the one that most of its pixels have.

    Where the stride is even a centre is the corner of four pixels, of which none alone would do.

    Args:
        label_map: ``(..., H, W)``, any dtype.
        grid_shape: ``(h, w)`` of the grid.
        extent: ``(H', W')`` pixels that the grid covers, at least the map and by default the map;
            beyond it the map's last row and column count.
        void: Value of centres on a border, where no value has a majority.
    """
    shape = label_map.shape[-2:]
    points = cell_points(grid_shape, shape if extent is None else extent, label_map.device)
    rows, cols = (
        [each.long().clamp(0, size - 1) for each in (position.ceil() - 1, position.floor())]
        for position, size in zip((points[:, 0, 1], points[0, :, 0]), shape, strict=True))
    around = torch.stack([label_map[..., y[:, None], x] for y in rows for x in cols])
    same = (around[:, None] == around[None]).sum(dim=0)
    most, index = same.max(dim=0)
    value = around.gather(0, index[None])[0]
    return value.masked_fill((same == most).sum(dim=0) != most, void)


def upsample_corner_aligned(grid: Tensor, shape: tuple[int, int]) -> Tensor:
    """Upsamples features whose cells lie at the corners of the cells of :func:`cell_points`.

    Convolutions of stride 2 with a padding of 1, as MobileNetV2 has them, look at pixel ``s * i``
    for cell i of stride s, not at ``s * i + s / 2``. Interpolation that takes this into account
    keeps features where they are in the image.

    Args:
        grid: ``(N, C, h, w)``.
        shape: ``(r * h, r * w)``, r even; ``grid`` itself is returned where r is 1.

    Returns:
        Tensor: ``(N, C, r * h, r * w)`` values at the centres of the fine cells.

    Raises:
        ValueError: ``shape`` is no such multiple.
    """
    ratio = int(shape[0] // grid.shape[-2])  # a constant of the network, in traces too
    even = ratio == 1 or ratio % 2 == 0  # an odd one would miss the centres by half a cell
    if not even or tuple(ratio * side for side in grid.shape[-2:]) != tuple(shape):
        raise InvalidInputError(f'A grid of {tuple(grid.shape[-2:])} cells cannot be upsampled to '
                                f'{tuple(shape)} by an even factor; pad inputs to a multiple of '
                                "the coarsest stride (the data preprocessor's size_divisor)")
    if ratio == 1:
        return grid
    padded = F.pad(grid, (0, 1, 0, 1), mode='replicate')
    fine = F.interpolate(padded, scale_factor=float(ratio), mode='bilinear', align_corners=False)
    start = ratio // 2
    return fine[..., start:start + shape[0], start:start + shape[1]]


def resize_grid(grid: Tensor, shape: tuple[int, int]) -> Tensor:
    """Interpolates ``(N, C, h, w)`` to another grid over the same area; the same one stays."""
    if grid.shape[-2:] == tuple(shape):
        return grid
    return F.interpolate(grid, size=tuple(shape), mode='bilinear', align_corners=False)


def resize_to_extent(grid: Tensor, extent: tuple[float, float],
                     img_shape: tuple[int, int]) -> Tensor:
    """Interpolates a grid ``(C, h, w)``, which covers ``extent`` ``(H', W')``, at least the image,
    to the pixels ``(C, H, W)`` of its image."""
    size = tuple(max(round(full), part) for full, part in zip(extent, img_shape, strict=True))
    full = F.interpolate(grid[None], size=size, mode='bilinear', align_corners=False)[0]
    return full[:, :img_shape[0], :img_shape[1]]
