"""Drawings of where cells point: from each cell of a thing to the centre of its box.

Images and canvases are RGB, (H, W, 3) uint8; functions give a new one.
"""
import math
from collections.abc import Sequence

import cv2
import numpy as np
import torch

from ..core.base_grouper import find_cells
from ..core.feature_grid import cell_points
from .drawing import line_width
from .utils import check_image

MAX_LINES = 500  # more would hide the image
TINT = 0.4  # opacity of the colour of a cell
LINE = 0.75  # opacity of a line
DOT = 0.1  # radius in sizes of a cell
DIMMED = 0.45  # brightness that the image keeps
FRACTION_BITS = 4  # cv2 draws at whole 16ths of a pixel
WHITE, DARK = (255, 255, 255), (30, 30, 30)


def draw_vote_field(image: np.ndarray, boxes: np.ndarray | torch.Tensor,
                    probs: np.ndarray | torch.Tensor, thing_ids: Sequence[int],
                    extent: tuple[float, float]) -> np.ndarray:
    """Show where the cells of things point: what :class:`PixelBoxGrouper` counts as votes.

    The image is dimmed; a cell has the colour of the direction in which the centre of its box
    lies, some have a line to that centre, and white dots are the centres of all. An object that the
    network has understood looks like a wheel of colours around one knot of dots.

    Args:
        image: RGB image, ``(H, W, 3)`` uint8.
        boxes: ``(4, h, w)`` box of each cell in pixels of the image (``pred_boxes``).
        probs: ``(C, h, w)`` category probabilities (``pred_probs``).
        thing_ids: Indices of the thing categories among the C.
        extent: ``(H', W')`` image pixels that the grid covers (``grid_extent``).

    Returns:
        np.ndarray: RGB, ``(H, W, 3)`` uint8.

    Raises:
        ValueError: The image is not ``(H, W, 3)`` uint8, boxes and probabilities lie on different
            grids, or a thing is not among the categories.
    """
    check_image(image)
    boxes, probs = (torch.as_tensor(each).detach().cpu() for each in (boxes, probs))
    cells, _ = find_cells(probs, boxes, image.shape[:2], thing_ids, extent)
    return draw_pointing(image, np.asarray(boxes.float()), np.asarray(cells.on_grid(cells.labels)),
                         extent)


def draw_pointing(image: np.ndarray, boxes: np.ndarray, groups: np.ndarray,
                  extent: tuple[float, float]) -> np.ndarray:
    """Draw from cells to the centres of their boxes ``(4, h, w)`` on a dimmed image, cells outlined
    by their ``groups`` ``(h, w)`` int, -1 for those left out."""
    canvas = dim(image)
    cells = groups >= 0
    if not cells.any():
        return canvas
    points = np.asarray(cell_points(groups.shape, extent))
    centres = np.stack([boxes[0] + boxes[2], boxes[1] + boxes[3]], axis=-1) / 2
    centres = np.where(cells[..., None], centres, points)
    colors = direction_colors(centres - points)
    canvas = _tint(canvas, np.where(cells[..., None], colors, 0), groups, extent)
    step = math.ceil(math.sqrt(cells.sum() / MAX_LINES))
    some = np.zeros_like(cells)
    some[step // 2::step, step // 2::step] = True
    some &= cells
    radius = max(1.0, DOT * math.sqrt(math.prod(extent) / math.prod(groups.shape)))
    canvas = draw_lines(canvas, points[some], centres[some], colors[some], radius)
    return draw_dots(canvas, centres[cells], radius)


def dim(image: np.ndarray) -> np.ndarray:
    """Make an image dark grey, so that colours stand out on it."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return cv2.cvtColor((grey * DIMMED).astype(np.uint8), cv2.COLOR_GRAY2RGB)


def direction_colors(vectors: np.ndarray) -> np.ndarray:
    """Give ``vectors`` ``(..., 2)`` x, y, where y points down, RGB colours ``(..., 3)`` uint8 of a
    wheel: right red, down green, left cyan, up violet."""
    angle = np.arctan2(vectors[..., 1], vectors[..., 0]).reshape(1, -1)
    hue = np.rint(angle / (2 * np.pi) % 1 * 180).astype(np.uint8) % 180
    hsv = np.stack([hue, np.full_like(hue, 190), np.full_like(hue, 255)], axis=-1)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB).reshape(*vectors.shape[:-1], 3)


def draw_lines(canvas: np.ndarray, starts: np.ndarray, ends: np.ndarray, colors: np.ndarray,
               radius: float) -> np.ndarray:
    """Draw transparent lines ``(n, 2)`` x, y that begin with a dot of a radius in pixels.

    Coordinates are continuous: pixel k covers [k, k + 1).
    """
    over, width, radius = canvas.copy(), line_width(canvas), round(radius * (1 << FRACTION_BITS))
    for start, end, color in zip(_fixed(starts, canvas), _fixed(ends, canvas), colors.tolist(),
                                 strict=True):
        cv2.line(over, start, end, color, width, cv2.LINE_AA, FRACTION_BITS)
        cv2.circle(over, start, radius, color, -1, cv2.LINE_AA, FRACTION_BITS)
    return cv2.addWeighted(canvas, 1 - LINE, over, LINE, 0)


def draw_dots(canvas: np.ndarray, points: np.ndarray, radius: float) -> np.ndarray:
    """Draw white dots of a radius in pixels at points ``(n, 2)``, with a dark rim."""
    canvas, radius = canvas.copy(), round(radius * (1 << FRACTION_BITS))
    places = set(_fixed(points, canvas))
    for size, color in ((radius + radius // 2, DARK), (radius, WHITE)):
        for place in places:
            cv2.circle(canvas, place, size, color, -1, cv2.LINE_AA, FRACTION_BITS)
    return canvas


def spread_cells(grid: np.ndarray, extent: tuple[float, float],
                 shape: tuple[int, int]) -> np.ndarray:
    """Give each pixel of an image of ``shape`` (H, W) the value of its cell, of a ``grid`` (h, w)
    or (h, w, 3) that covers ``extent``."""
    height, width = (max(round(full), part) for full, part in zip(extent, shape, strict=True))
    pixels = cv2.resize(grid, (width, height), interpolation=cv2.INTER_NEAREST)
    return pixels[:shape[0], :shape[1]]


def _fixed(points: np.ndarray, canvas: np.ndarray) -> list[tuple[int, int]]:
    """Points as cv2 takes them: its pixel k has its middle at k. Far ones come near the canvas."""
    limit = np.array(canvas.shape[1::-1])
    near = np.clip(points, -limit, 2 * limit) - 0.5
    return [tuple(point) for point in np.rint(near * (1 << FRACTION_BITS)).astype(int).tolist()]


def _tint(canvas: np.ndarray, colors: np.ndarray, groups: np.ndarray,
          extent: tuple[float, float]) -> np.ndarray:
    """Colour the cells of groups from 0 on, and outline each group."""
    shape = canvas.shape[:2]
    labels = spread_cells(groups.astype(np.int32), extent, shape)
    full = spread_cells(colors.astype(np.uint8), extent, shape)
    tinted = cv2.addWeighted(canvas, 1 - TINT, full, TINT, 0)
    canvas = np.where((labels >= 0)[..., None], tinted, canvas)
    for group in np.unique(groups[groups >= 0]):
        outline, _ = cv2.findContours((labels == group).astype(np.uint8), cv2.RETR_CCOMP,
                                      cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(canvas, outline, -1, WHITE, line_width(canvas))
    return canvas
