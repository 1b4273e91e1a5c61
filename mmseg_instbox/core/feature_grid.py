"""Which image point a cell of a feature map stands for: the one place that defines it."""
import torch
import torch.nn.functional as F
from torch import Tensor


def cell_points(grid_shape: tuple[int, int],
                extent: tuple[float, float],
                device: torch.device | str | None = None) -> Tensor:
    """Centres of the cells of a feature grid, in pixels.

    Coordinates are continuous: pixel ``k`` covers ``[k, k + 1)``. The grid divides its extent
    evenly, as bilinear interpolation with ``align_corners=False`` does; so it agrees with how mmseg
    resizes scores, also where the size is not divisible by the stride.

    Args:
        grid_shape: ``(h, w)`` of the grid.
        extent: ``(H, W)``, the size in pixels of the area that the grid covers.
        device: Device of the result.

    Returns:
        Tensor: ``(h, w, 2)`` float32, the ``(x, y)`` of each cell's centre.
    """
    (h, w), (height, width) = grid_shape, extent
    y = (torch.arange(h, device=device, dtype=torch.float32) + 0.5) * (height / h)
    x = (torch.arange(w, device=device, dtype=torch.float32) + 0.5) * (width / w)
    return torch.stack([x[None, :].expand(h, w), y[:, None].expand(h, w)], dim=-1)


def sample_at_cells(label_map: Tensor, grid_shape: tuple[int, int]) -> Tensor:
    """Values of a map at the pixels that hold the cells' centres.

    Args:
        label_map: ``(..., H, W)``, any dtype.
        grid_shape: ``(h, w)`` of the grid that covers the map.

    Returns:
        Tensor: ``(..., h, w)``, same dtype.
    """
    points = cell_points(grid_shape, label_map.shape[-2:], label_map.device).long()
    return label_map[..., points[:, :1, 1], points[:1, :, 0]]


def resize_to_extent(grid: Tensor, extent: tuple[float, float],
                     img_shape: tuple[int, int]) -> Tensor:
    """Interpolates a grid to the image's pixels.

    Args:
        grid: ``(C, h, w)`` float.
        extent: ``(H', W')``, the pixels that the grid covers, at least the image.
        img_shape: ``(H, W)``.

    Returns:
        Tensor: ``(C, H, W)``.
    """
    size = tuple(max(round(full), part) for full, part in zip(extent, img_shape, strict=True))
    full = F.interpolate(grid[None], size=size, mode='bilinear', align_corners=False)[0]
    return full[:, :img_shape[0], :img_shape[1]]
