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

_CHUNK = 1 << 19  # pixels, or logits of them, that are looked at together


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


def best_categories(logits: Tensor, extent: tuple[float, float],
                    img_shape: tuple[int, int]) -> Tensor:
    """The best category ``(H, W)`` int64 of each pixel by logits ``(C, h, w)`` float, as
    ``resize_to_extent(...).argmax(dim=0)`` gives it; any of those that differ by rounding alone.

    Where the four cells around a pixel have the same best category, no other can be best between
    them, as each weighs the same for all categories. So logits are interpolated only at the borders
    of categories, and only those of categories that can be best there; some pixels at a time to
    bound memory.
    """
    full = [max(round(whole), part) for whole, part in zip(extent, img_shape, strict=True)]
    rows, cols = (between_cells(size, cells, whole, logits.device)
                  for size, cells, whole in zip(img_shape, logits.shape[1:], full, strict=True))
    corners = _corners(logits.max(dim=0).indices)  # faster than argmax
    best, mixed = _spread(corners[0], rows, cols), (corners != corners[0]).any(dim=0)
    rivals, values = _rivals(logits, mixed)
    number = mixed.flatten().cumsum(0) - 1  # of each mixed place
    pixels = _spread(mixed, rows, cols).flatten().nonzero()[:, 0]
    for each in pixels.split(max(_CHUNK // len(rivals), 1)):
        place, y, x = _between(each, rows, cols, logits.shape[2])
        place = number.index_select(0, place)
        around = values.index_select(1, place).view(2, 2, len(rivals), -1)
        sides = torch.lerp(around[:, 0], around[:, 1], x.to(logits))
        winner = torch.lerp(*sides, y.to(logits)).max(dim=0).indices
        best.view(-1).scatter_(0, each, rivals.take(winner * rivals.shape[1] + place))
    return best


def _rivals(logits: Tensor, mixed: Tensor) -> tuple[Tensor, Tensor]:
    """The M categories ``(M, Q)`` that can be best between four cells of which each of Q ``mixed``
    places is the low one, in ascending order, and their logits ``(4 * M, Q)`` at the four.

    A category cannot be best whose largest logit is at most the smallest of another one.
    """
    index = torch.arange(mixed.numel(), device=mixed.device).view(mixed.shape)
    index = _corners(index)[:, mixed]
    values = logits.flatten(1).index_select(1, index.flatten()).view(len(logits), *index.shape)
    high, (low, safest) = values.amax(dim=1), values.amin(dim=1).max(dim=0)
    is_rival = (high > low).scatter_(0, safest[None], True)
    num = int(F.pad(is_rival.sum(dim=0), (0, 1), value=1).max())
    rivals = high.masked_fill(~is_rival, -torch.inf).topk(num, dim=0).indices.sort(dim=0).values
    return rivals, values.gather(0, rivals[:, None].expand(-1, 4, -1)).transpose(0, 1).flatten(0, 1)


def paint(owners: Tensor, labels: Tensor, seg_map: Tensor, extent: tuple[float, float]) -> Tensor:
    """Carries owners from the cells to the image's pixels, in strips of rows to bound memory.

    The weights of the four cells around a pixel are computed only where these belong to several
    instances; the twelve around them count only at the rim of thin parts.

    ``owners`` ``(h, w)`` int64 are -1 for none, on a grid that covers ``extent`` pixels; ``labels``
    ``(K,)`` are the category of each instance, as in ``seg_map`` ``(H, W)``. The result ``(H, W)``,
    int16 or int32, has the instance of each pixel, K for none.
    """
    (h, w), (height, width), num = owners.shape, seg_map.shape, len(labels)
    rows = between_cells(height, h, extent[0], owners.device)
    cols = between_cells(width, w, extent[1], owners.device)
    dtype = torch.int16 if num < 2**15 else torch.int32  # small types are faster
    known = labels.new_zeros(int(torch.cat([seg_map.amax()[None], labels]).max()) + 1).bool()
    known[labels] = True
    labels = F.pad(labels, (0, 1), value=-1).to(dtype)  # -1 of no instance fits no pixel
    owners = torch.where(owners < 0, 0, owners - num).to(dtype)  # from -K on, so that none is 0
    grid = F.pad(owners, (1, 2, 1, 2))
    near_by, step = (grid, labels[grid.long() + num]), torch.arange(4, device=grid.device)
    window = step[:, None] * grid.shape[1] + step

    corners = _corners(owners)
    instance = corners.amin(dim=0)  # the only one, or none
    several = corners.masked_fill(corners == 0, -num - 1).amax(dim=0) > instance
    spread = [each.index_select(1, cols.low)
              for each in (instance, labels[instance.long() + num], several)]
    painted = owners.new_empty(seg_map.shape)
    for strip, categories, *row in zip(
            *(each.split(max(_CHUNK // width, 1)) for each in (painted, seg_map, *rows)),
            strict=True):
        row, has_instances = Between(*row), known.index_select(0, categories.flatten().long())
        categories = categories.to(dtype)
        same, label, mixed = (each.index_select(0, row.low) for each in spread)
        torch.mul(same, label == categories, out=strip)
        _decide(strip, mixed, near_by, window[1:3, 1:3], categories, row, cols, _heaviest)
        rest = (strip == 0) & has_instances.view(strip.shape)
        _decide(strip, rest, near_by, window, categories, row, cols, _nearest)
    return painted.add_(num)


def _decide(strip: Tensor, pixels: Tensor, near_by: tuple[Tensor, Tensor], steps: Tensor,
            categories: Tensor, rows: Between, cols: Between,
            choose: Callable[..., Tensor]) -> None:
    """Decides the true ``pixels`` of a strip by the instances and the categories of the cells
    around each, which lie in ``near_by`` at ``steps`` from the one above and left of the low
    cell."""
    pixels = pixels.flatten().nonzero()[:, 0]
    place, y, x = _between(pixels, rows, cols, near_by[0].shape[1])
    index = place + steps.flatten()[:, None]
    near, fits = (each.flatten().index_select(0, index.flatten()).view(index.shape)
                  for each in near_by)
    fits = fits == categories.flatten().index_select(0, pixels)
    strip.view(-1).scatter_(0, pixels, choose(near, fits, y, x))


def _between(pixels: Tensor, rows: Between, cols: Between,
             width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Place on a flattened grid of a ``width`` of the low cell of ``pixels`` ``(P,)``, which are
    places in the flattened image; and how far each lies from it, down and right."""
    y = pixels // len(cols.low)
    x = pixels - y * len(cols.low)
    place = rows.low.index_select(0, y) * width + cols.low.index_select(0, x)
    return place, rows.share.index_select(0, y), cols.share.index_select(0, x)


def _corners(grid: Tensor) -> Tensor:
    """Values ``(4, ..., h, w)`` of each cell and of the next ones right, below and diagonal; the
    last row and column repeat."""
    both = torch.stack([grid, torch.cat([grid[..., 1:], grid[..., -1:]], dim=-1)])
    return torch.cat([both, torch.cat([both[..., 1:, :], both[..., -1:, :]], dim=-2)])


def _spread(values: Tensor, rows: Between, cols: Between) -> Tensor:
    """The value ``(H, W)`` of the low cell of each pixel, of ``(h, w)``."""
    return values.index_select(1, cols.low).index_select(0, rows.low)


def _heaviest(near: Tensor, fits: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """The instance with most weight among four cells, the first of equals, or 0 for none."""
    low, high = 1 - x, x
    weight = torch.stack([low * (1 - y), high * (1 - y), low * y, high * y])
    total = torch.zeros_like(weight)
    for i in range(4):
        total.addcmul_((near == near[i]).float(), weight[i])
    total = total * fits
    best = total.amax(dim=0)
    return near.masked_fill((total < best) | (total == 0), 0).amin(dim=0)


def _nearest(near: Tensor, fits: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """The instance of the nearest of 4 x 4 cells, the first of equals, or 0 for none."""
    step = torch.arange(-1, 3, device=y.device)[:, None]
    distance = ((y - step)**2)[:, None] + ((x - step)**2)[None]
    distance = distance.flatten(0, 1).masked_fill(~fits, torch.inf)
    return near.masked_fill((distance > distance.amin(dim=0)) | ~fits, 0).amin(dim=0)
