"""Drawing of instances on an enlarged or reduced copy of the image, as functions on arrays.

Canvases are (H, W, 3) uint8 RGB; functions give a new one.
"""
import colorsys
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..utils.run_lengths import Crop, mask_crops

VOID_GREY = 128
HATCH_GREY = 225
HIDDEN_OBJECT = 0.5  # what hiding a whole object costs, where hiding a whole label costs 1
# Hand-picked so that neighbours in the list, and the first few above all, differ most.
BASE_COLORS = (
    (230, 25, 75), (60, 180, 75), (255, 225, 25), (0, 110, 220), (245, 130, 48), (145, 30, 180),
    (70, 240, 240), (240, 50, 230), (170, 240, 50), (165, 85, 30), (250, 170, 200), (0, 128, 128),
    (190, 150, 255), (128, 0, 0), (170, 255, 195), (90, 90, 255), (128, 128, 0), (255, 200, 140))
GOLDEN_RATIO = 0.618034


@dataclass
class DrawnObjects:
    """What is drawn of N instances, in pixels of the canvas.

    Attributes:
        crops: N masks, as of :func:`canvas_crops`.
        boxes: ``(N, 4)`` float x1, y1, x2, y2, right and bottom edge exclusive.
        texts: N labels; None writes none.
        colors: ``(N, 3)`` uint8, RGB.
    """
    crops: Sequence[Crop]
    boxes: np.ndarray
    texts: list[str] | None
    colors: np.ndarray


def instance_colors(count: int) -> np.ndarray:
    """Give ``count`` RGB colours, (count, 3) uint8, always the same ones in the same order."""
    extra = [colorsys.hsv_to_rgb(k * GOLDEN_RATIO % 1, 0.75, 1 - k % 3 * 0.2)
             for k in range(count - len(BASE_COLORS))]
    further = np.rint(np.array(extra).reshape(-1, 3) * 255)
    base = np.array(BASE_COLORS[:count]).reshape(-1, 3)
    return np.concatenate([base, further]).astype(np.uint8)


def text_color(background: np.ndarray) -> tuple[int, int, int]:
    """Give black or white, whichever is easier to read on an RGB ``background`` (3,)."""
    return (0, 0, 0) if np.dot(background, (0.299, 0.587, 0.114)) > 120 else (255, 255, 255)


def to_canvas(image: np.ndarray, min_size: int, max_size: int | None = None) -> np.ndarray:
    """Copy an image (H, W, 3) uint8 to a canvas whose longer side has at least ``min_size``
    pixels, enlarged by a whole factor, and at most ``max_size``."""
    longer = max(image.shape[:2])
    if max_size and longer > max_size:
        size = [max(round(side * max_size / longer), 1) for side in image.shape[1::-1]]
        if image.strides[2] < 0:  # OpenCV would copy a large image with its channels reversed
            small = cv2.resize(image[..., ::-1], size, interpolation=cv2.INTER_AREA)
            return np.ascontiguousarray(small[..., ::-1])
        return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    factor = max(1, math.ceil(min_size / longer))
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)


def resize_map(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Resize a map (H, W) of any type to ``shape`` (h, w), by the nearest pixel centre."""
    if values.shape == tuple(shape):
        return values
    return values[np.ix_(*map(nearest_pixels, values.shape, shape))]


def nearest_pixels(old: int, new: int) -> np.ndarray:
    """Which of ``old`` pixels along a side lie under the centres of ``new`` ones, (new,) int64."""
    return ((np.arange(new) + 0.5) * (old / new)).astype(int)


def canvas_crops(masks: Any, size: tuple[int, int], shape: tuple[int, int]) -> list[Crop]:
    """Crop masks of an image of a ``size`` (H, W) on a canvas of ``shape`` (h, w).

    ``masks`` are what :func:`~mmseg_instbox.utils.run_lengths.mask_crops` reads. The crops are
    those of the image, resized as by :func:`resize_map`; no mask of the whole image is made.
    """
    places, crops = [*map(nearest_pixels, size, shape)], []
    for crop in mask_crops(masks):
        (top, bottom), (left, right) = (
            np.searchsorted(each, (side.start, side.stop)).tolist()
            for each, side in zip(places, crop.window, strict=True))
        pixels = crop.pixels[np.ix_(places[0][top:bottom] - crop.top,
                                    places[1][left:right] - crop.left)]
        crops.append(Crop(pixels, left, top))
    return crops


def draw_objects(canvas: np.ndarray, objects: DrawnObjects, alpha: float,
                 with_boxes: bool = True) -> np.ndarray:
    """Draw objects, the most important first: masks of an opacity ``alpha``, 0 to 1, with contours,
    then boxes, then labels, which go to the place of their box also where none is drawn."""
    canvas = canvas.copy()
    boxes, width = np.rint(objects.boxes).astype(int), line_width(canvas)
    drawn = list(zip(objects.crops, boxes, objects.colors.tolist(), strict=True))[::-1]
    for crop, _, color in drawn:
        if crop.pixels.size:
            region, shades = canvas[crop.window], np.arange(256)[:, None] * (1 - alpha)
            mixed = cv2.LUT(region, (shades + np.array(color) * alpha).astype(np.uint8)[None])
            np.copyto(region, mixed, where=crop.pixels[..., None])
    for crop, box, color in drawn:
        if crop.pixels.size:
            contours, _ = cv2.findContours(crop.pixels.astype(np.uint8), cv2.RETR_CCOMP,
                                           cv2.CHAIN_APPROX_NONE, offset=(crop.left, crop.top))
            cv2.drawContours(canvas, contours, -1, color, 2 * width)
        if with_boxes:
            cv2.rectangle(canvas, box[:2].tolist(), (box[2:] - 1).tolist(), color, width)
    if objects.texts is None:
        return canvas
    return draw_labels(canvas, boxes, objects.texts, objects.colors)


def hatch_void(canvas: np.ndarray, void: np.ndarray) -> np.ndarray:
    """Grey and hatch the void pixels ``void`` (H, W) bool, whose size may be another."""
    canvas, inside = canvas.copy(), resize_map(void, canvas.shape[:2])
    y, x = np.nonzero(inside)
    grey = np.where((x + y) % 8 < 2, HATCH_GREY, VOID_GREY)[:, None]
    canvas[inside] = (canvas[inside] * 0.4 + grey * 0.6).astype(np.uint8)
    return canvas


def draw_labels(canvas: np.ndarray, boxes: np.ndarray, texts: list[str],
                colors: np.ndarray) -> np.ndarray:
    """Write N texts on tags of their colours (N, 3) uint8 at boxes (N, 4) int, inside the canvas
    and apart from one another where possible."""
    drawn = Image.fromarray(canvas)
    draw = ImageDraw.Draw(drawn)
    font = load_font(font_size(canvas))
    placed = np.zeros((0, 4), dtype=int)
    for box, text, color in zip(boxes, texts, colors, strict=True):
        _, _, right, bottom = draw.textbbox((0, 0), text, font=font)
        size = math.ceil(right) + 6, math.ceil(bottom) + 4
        tag = place_label(box, size, canvas.shape[:2], placed, boxes)
        placed = np.concatenate([placed, tag[None]])
        draw.rectangle(tuple((tag - (0, 0, 1, 1)).tolist()), fill=tuple(color.tolist()))
        draw.text((tag[0] + 3, tag[1] + 1), text, font=font, fill=text_color(color))
    return np.array(drawn)


def place_label(box: np.ndarray, size: tuple[int, int], canvas_shape: tuple[int, int],
                placed: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Find the place (4,) at a ``box`` (4,) where a label hides least of other labels and of small
    objects, inside the canvas unless it is larger.

    ``size`` is its width and height; ``placed`` (M, 4) are other labels, ``boxes`` (N, 4) objects,
    all int.
    """
    width, height = size
    x1, y1, x2, y2 = box
    tops = (y1 - height, y1, y2 - height, y2, (y1 + y2 - height) // 2, y1 - 2 * height)
    lefts = (x1, x2 - width, (x1 + x2 - width) // 2, x1 - width, x2)
    corners = np.array([(left, top) for top in tops for left in lefts])
    limit = np.array([canvas_shape[1] - width, canvas_shape[0] - height])
    corners = np.maximum(np.minimum(corners, limit), 0)
    candidates = np.concatenate([corners, corners + (width, height)], axis=1)
    areas = np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), 1)
    hidden = (_overlap(candidates, placed).sum(axis=1) / (width * height) +
              HIDDEN_OBJECT * (_overlap(candidates, boxes) / areas).sum(axis=1))
    return candidates[int(np.argmin(hidden))]


def _overlap(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Area (N, M) that each of ``boxes`` (N, 4) shares with each of ``others`` (M, 4)."""
    sides = (np.minimum(boxes[:, None, 2:], others[:, 2:]) -
             np.maximum(boxes[:, None, :2], others[:, :2]))
    return sides.clip(min=0).prod(axis=-1)


def contact_sheet(images: Sequence[np.ndarray], columns: int = 2, width: int = 900,
                  gap: int = 8) -> np.ndarray:
    """Put images ``(H, W, 3)`` uint8 of any sizes, at least one, into rows of ``columns`` on a
    white sheet ``(H', W', 3)``.

    Images wider than ``width`` pixels are reduced to it; each has a margin of ``gap`` pixels.
    """
    factors = [min(1., width / image.shape[1]) for image in images]
    images = [cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
              for image, factor in zip(images, factors, strict=True)]
    columns, width = min(columns, len(images)), max(image.shape[1] for image in images) + 2 * gap
    strips = []
    for row in (images[start:start + columns] for start in range(0, len(images), columns)):
        height = max(image.shape[0] for image in row) + 2 * gap
        strip = np.full((height, columns * width, 3), 255, np.uint8)
        for place, image in enumerate(row):
            left = place * width + gap
            strip[gap:gap + image.shape[0], left:left + image.shape[1]] = image
        strips.append(strip)
    return np.concatenate(strips)


def join_panels(panels: dict[str, np.ndarray], columns: int | None = None) -> np.ndarray:
    """Put images of one size into rows of ``columns``, by default one row, with their names above
    them if there are several."""
    if len(panels) == 1:
        return next(iter(panels.values()))
    named = [put_name_above(panel, name) for name, panel in panels.items()]
    columns = min(columns or len(named), len(named))
    named += [np.full_like(named[0], 255)] * (-len(named) % columns)
    rows = [np.concatenate(named[i:i + columns], axis=1) for i in range(0, len(named), columns)]
    return np.concatenate(rows)


def put_name_above(panel: np.ndarray, name: str) -> np.ndarray:
    """Add a white strip with a name above an image."""
    font = load_font(font_size(panel))
    strip = Image.new('RGB', (panel.shape[1], 2 * font_size(panel)), 'white')
    ImageDraw.Draw(strip).text((6, strip.height // 2), name, font=font, fill='black', anchor='lm')
    return np.concatenate([np.array(strip), panel])


def line_width(canvas: np.ndarray) -> int:
    """Give the line width in pixels: 1 up to about 1000 pixels of a canvas."""
    return max(1, round(max(canvas.shape[:2]) / 700))


def font_size(canvas: np.ndarray) -> int:
    """Give the font size in pixels: 13 up to about 850 pixels of a canvas."""
    return max(13, max(canvas.shape[:2]) // 65)


@functools.lru_cache
def load_font(size: int) -> ImageFont.FreeTypeFont:
    """Load the font that travels with matplotlib (accents, Greek, Cyrillic) in ``size`` pixels."""
    folder = Path(find_spec('matplotlib').origin).parent  # importing it takes a tenth of a second
    return ImageFont.truetype(str(folder / 'mpl-data' / 'fonts' / 'ttf' / 'DejaVuSans.ttf'), size)
