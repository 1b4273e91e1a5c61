"""From instances on the feature grid to masks and boxes at image resolution: pure functions.

A pixel ``x`` lies between four cell centres ``o``. It goes to the instance of its own category that
has most bilinear weight among the four; if none of them has its category, to that of the nearest of
the twelve cells ``.`` around::

    .    .    .    .
    .    o    o    .        between_cells  gives the low cell (the upper left o) of each pixel and
           x                               how far the pixel lies from it to the next one
    .    o    o    .        paint          where the four agree, their value for all pixels at once
    .    .    .    .        _decide        elsewhere pixel by pixel, _heaviest and then _nearest
"""
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

_CHUNK = 1 << 19  # pixels that are looked at together


class Between(NamedTuple):
    """Where pixels lie between cell centres along one axis, all ``(N,)``: the cell ``low`` int64,
    the next one ``high`` (the same at the edge), and how far from ``low`` to ``high``, 0 to 1."""
    low: Tensor
    high: Tensor
    share: Tensor


def between_cells(size: int, cells: int, extent: float, device: torch.device) -> Between:
    """The two cells next to each of ``size`` pixels along an axis, where ``cells`` cells cover
    ``extent`` pixels, as in bilinear interpolation with ``align_corners=False``."""
    pixels = torch.arange(size, device=device, dtype=torch.float32) + 0.5
    position = (pixels * (cells / extent) - 0.5).clamp(0, cells - 1)
    low = position.long()
    return Between(low, (low + 1).clamp(max=cells - 1), position - low)


def best_categories(logits: Tensor, extent: tuple[float, float], img_shape: tuple[int, int],
                    chunk: int = _CHUNK) -> Tensor:
    """The best category of each pixel, as ``resize_to_extent(...).argmax(dim=0)`` gives it.

    Where the four cells around a pixel have the same best category, no other can be best between
    them, as each weighs the same for all categories. So logits are interpolated only at the borders
    of categories, some pixels at a time to bound memory.

    Args:
        logits: ``(C, h, w)`` float.
        extent: ``(H', W')`` pixels that the grid covers, at least the image.
        img_shape: ``(H, W)``.
        chunk: How many logits are interpolated together.

    Returns:
        Tensor: ``(H, W)`` int64; of categories that are equal but for rounding, any.
    """
    full = [max(round(whole), part) for whole, part in zip(extent, img_shape, strict=True)]
    rows, cols = (between_cells(size, cells, whole, logits.device)
                  for size, cells, whole in zip(img_shape, logits.shape[1:], full, strict=True))
    corners = _corners(logits.argmax(dim=0))
    best, mixed = _spread(corners[0], rows, cols), (corners != corners[0]).any(dim=0)
    cells = logits.flatten(1).T.contiguous()
    places = [each.split(max(chunk // len(logits), 1))
              for each in _spread(mixed, rows, cols).nonzero(as_tuple=True)]
    for y, x in zip(*places, strict=True):
        top, bottom = (_along_row(cells, each[y] * logits.shape[2], cols, x)
                       for each in (rows.low, rows.high))
        best[y, x] = torch.lerp(top, bottom, rows.share[y].to(logits)[:, None]).argmax(dim=1)
    return best


def _along_row(cells: Tensor, row: Tensor, cols: Between, x: Tensor) -> Tensor:
    """Logits ``(P, C)`` at the columns x ``(P,)`` of rows of cells ``(h * w, C)`` that start at
    ``row`` ``(P,)``."""
    low, high = (cells.index_select(0, row + each[x]) for each in (cols.low, cols.high))
    return torch.lerp(low, high, cols.share[x].to(cells)[:, None])


def paint(owners: Tensor, labels: Tensor, seg_map: Tensor, extent: tuple[float, float]) -> Tensor:
    """Carries owners from the cells to the image's pixels, in strips of rows to bound memory.

    The weights of the four cells around a pixel are computed only where these belong to several
    instances; the twelve around them count only at the rim of thin parts.

    Args:
        owners: ``(h, w)`` int64, -1 for none.
        labels: ``(K,)`` category of each instance, as in ``seg_map``.
        seg_map: ``(H, W)`` category of each pixel.
        extent: Pixels that the grid covers.

    Returns:
        Tensor: ``(H, W)`` int16 or int32, the instance of each pixel; K for none.
    """
    (h, w), (height, width), num = owners.shape, seg_map.shape, len(labels)
    rows = between_cells(height, h, extent[0], owners.device)
    cols = between_cells(width, w, extent[1], owners.device)
    dtype = torch.int16 if num < 2**15 else torch.int32  # small types are faster
    owners = torch.where(owners < 0, num, owners).to(dtype)
    known = labels.new_zeros(int(torch.cat([seg_map.amax()[None], labels]).max()) + 1).bool()
    known[labels] = True
    labels = F.pad(labels, (0, 1), value=-1).to(dtype)  # -1 of no instance fits no pixel

    corners, window = _corners(owners), _window(owners, num)
    near_by = [(cells, labels[cells.long()]) for cells in (corners, window)]
    instance = corners.amin(dim=0)  # the only one, or none
    several = (corners.masked_fill(corners == num, -1).amax(dim=0) > instance) & (instance < num)
    spread = [each.index_select(1, cols.low)
              for each in (instance, labels[instance.long()], several)]
    painted = owners.new_empty(seg_map.shape)
    for strip, categories, *row in zip(
            *(each.split(max(_CHUNK // width, 1)) for each in (painted, seg_map, *rows)),
            strict=True):
        row, has_instances = Between(*row), known.take(categories.long())
        categories = categories.to(dtype)
        same, label, mixed = (each.index_select(0, row.low) for each in spread)
        strip.copy_(same.masked_fill_(label != categories, num))
        _decide(strip, mixed, near_by[0], categories, row, cols, _heaviest, num)
        rest = (strip == num) & has_instances
        _decide(strip, rest, near_by[1], categories, row, cols, _nearest, num)
    return painted


def _decide(strip: Tensor, pixels: Tensor, near_by: tuple[Tensor, Tensor], categories: Tensor,
            rows: Between, cols: Between, choose: Callable[..., Tensor], none: int) -> None:
    """Decides the true ``pixels`` of a strip by the instances and the categories, ``(M, h, w)``
    each, of the cells around each."""
    y, x = pixels.nonzero(as_tuple=True)
    place = rows.low[y] * near_by[0].shape[2] + cols.low[x]
    near, fits = (each.flatten(1).index_select(1, place) for each in near_by)
    strip[y, x] = choose(near, fits == categories[y, x], rows.share[y], cols.share[x], none)


def _corners(grid: Tensor) -> Tensor:
    """Values ``(4, ..., h, w)`` of each cell and of the next ones right, below and diagonal; the
    last row and column repeat."""
    both = torch.stack([grid, torch.cat([grid[..., 1:], grid[..., -1:]], dim=-1)])
    return torch.cat([both, torch.cat([both[..., 1:, :], both[..., -1:, :]], dim=-2)])


def _window(owners: Tensor, none: int) -> Tensor:
    """Owners ``(16, h, w)`` of the 4 x 4 cells from one above and left of each on."""
    h, w = owners.shape
    padded = F.pad(owners, (1, 2, 1, 2), value=none)
    return torch.stack([padded[y:y + h, x:x + w] for y in range(4) for x in range(4)])


def _spread(values: Tensor, rows: Between, cols: Between) -> Tensor:
    """The value ``(H, W)`` of the low cell of each pixel, of ``(h, w)``."""
    return values.index_select(1, cols.low).index_select(0, rows.low)


def _heaviest(near: Tensor, fits: Tensor, y: Tensor, x: Tensor, none: int) -> Tensor:
    """The instance with most weight among four cells, the first of equals, or ``none``."""
    low, high = 1 - x, x
    weight = torch.stack([low * (1 - y), high * (1 - y), low * y, high * y])
    total = torch.zeros_like(weight)
    for i in range(4):
        total.addcmul_((near == near[i]).float(), weight[i])
    total = total * fits
    best = total.amax(dim=0)
    return near.masked_fill((total < best) | (total == 0), none).amin(dim=0)


def _nearest(near: Tensor, fits: Tensor, y: Tensor, x: Tensor, none: int) -> Tensor:
    """The instance of the nearest of 4 x 4 cells, the first of equals, or ``none``."""
    step = torch.arange(-1, 3, device=y.device)[:, None]
    distance = ((y - step)**2)[:, None] + ((x - step)**2)[None]
    distance = distance.flatten(0, 1).masked_fill(~fits, torch.inf)
    return near.masked_fill((distance > distance.amin(dim=0)) | ~fits, none).amin(dim=0)
