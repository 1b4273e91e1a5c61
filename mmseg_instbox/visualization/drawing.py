"""Drawing of instances on an enlarged copy of the image, as functions on arrays.

Canvases are (H, W, 3) uint8 RGB; functions give a new one.
"""
import colorsys
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

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
    """What is drawn of N instances of an image of (H, W) pixels.

    Attributes:
        masks (Sequence[np.ndarray]): N of (H, W) bool.
        boxes (np.ndarray): (N, 4) float, ``x1, y1, x2, y2`` in image pixels, right and bottom
            edge exclusive.
        texts (list[str], optional): N labels; None writes none.
        colors (np.ndarray): (N, 3) uint8, RGB.
    """
    masks: Sequence[np.ndarray]
    boxes: np.ndarray
    texts: list[str] | None
    colors: np.ndarray


def instance_colors(count: int) -> np.ndarray:
    """Give ``count`` RGB colours, (count, 3) uint8, always the same ones in the same order.

    The first are hand-picked; further ones step round the colour circle by the golden ratio, at
    three levels of brightness.
    """
    extra = [colorsys.hsv_to_rgb(k * GOLDEN_RATIO % 1, 0.75, 1 - k % 3 * 0.2)
             for k in range(count - len(BASE_COLORS))]
    further = np.rint(np.array(extra).reshape(-1, 3) * 255)
    base = np.array(BASE_COLORS[:count]).reshape(-1, 3)
    return np.concatenate([base, further]).astype(np.uint8)


def text_color(background: np.ndarray) -> tuple[int, int, int]:
    """Give black or white, whichever is easier to read on an RGB ``background`` (3,)."""
    luminance = float(np.dot(background, (0.299, 0.587, 0.114)))
    return (0, 0, 0) if luminance > 120 else (255, 255, 255)


def enlarge(array: np.ndarray, factor: int, interpolation: int = cv2.INTER_NEAREST) -> np.ndarray:
    """Enlarge a uint8 array (H, W) or (H, W, 3) by a whole ``factor``; always gives a copy."""
    return cv2.resize(array, None, fx=factor, fy=factor, interpolation=interpolation)


def draw_objects(canvas: np.ndarray, objects: DrawnObjects, factor: int, alpha: float,
                 with_boxes: bool = True) -> np.ndarray:
    """Draw masks with contours, then boxes, then labels.

    Args:
        canvas: The enlarged image, (H * factor, W * factor, 3) uint8.
        objects: Instances in image pixels, the most important first.
        factor: By how much the canvas is larger than the image.
        alpha: Opacity of the masks, 0 to 1.
        with_boxes: Whether to draw the boxes, too; labels go to their place either way.
    """
    canvas = canvas.copy()
    parts = [_occupied(mask) for mask in objects.masks]
    for mask, part, color in reversed(list(zip(objects.masks, parts, objects.colors, strict=True))):
        inside = enlarge(mask[part].astype(np.uint8), factor) > 0
        region = canvas[tuple(slice(side.start * factor, side.stop * factor) for side in part)]
        region[inside] = (region[inside] * (1 - alpha) + color * alpha).astype(np.uint8)
    boxes = np.rint(objects.boxes * factor).astype(int)
    width = line_width(canvas)
    for mask, part, box, color in zip(objects.masks, parts, boxes, objects.colors.tolist(),
                                      strict=True):
        contours, _ = cv2.findContours(
            enlarge(mask[part].astype(np.uint8), factor), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE,
            offset=(part[1].start * factor, part[0].start * factor))
        cv2.drawContours(canvas, contours, -1, color, 2 * width)
        if with_boxes:
            cv2.rectangle(canvas, box[:2].tolist(), (box[2:] - 1).tolist(), color, width)
    if objects.texts is None:
        return canvas
    return draw_labels(canvas, boxes, objects.texts, objects.colors)


def _occupied(mask: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns that hold a mask (H, W) bool, the first pixel of an empty one: a large
    image has many objects that cover a small part of it."""
    sides = [np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0)]
    return tuple(slice(side[0], side[-1] + 1) if len(side) else slice(0, 1) for side in sides)


def hatch_void(canvas: np.ndarray, void: np.ndarray, factor: int) -> np.ndarray:
    """Grey and hatch the void pixels ``void`` (H, W) bool."""
    canvas = canvas.copy()
    inside = enlarge(void.astype(np.uint8), factor) > 0
    y, x = np.nonzero(inside)
    grey = np.where((x + y) % 8 < 2, HATCH_GREY, VOID_GREY)[:, None]
    canvas[inside] = (canvas[inside] * 0.4 + grey * 0.6).astype(np.uint8)
    return canvas


def draw_labels(canvas: np.ndarray, boxes: np.ndarray, texts: list[str],
                colors: np.ndarray) -> np.ndarray:
    """Write N texts on tags of their colours (N, 3) uint8 at boxes (N, 4) int in canvas pixels.

    Tags lie inside the canvas, apart from one another where possible.
    """
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
    """Find the place at a box where a label hides least of other labels and of small objects.

    The label's ``size`` is width and height, ``canvas_shape`` height and width; boxes are int in
    canvas pixels: (4,), of the M labels already ``placed``, (M, 4), and of all objects, (N, 4).
    The label's box, (4,) int, lies inside the canvas unless it is larger than that.
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
    hidden = [_overlap(candidate, placed).sum() / (width * height) +
              HIDDEN_OBJECT * (_overlap(candidate, boxes) / areas).sum()
              for candidate in candidates]
    return candidates[int(np.argmin(hidden))]


def _overlap(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Area that ``box`` (4,) shares with each of ``others`` (M, 4)."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    return sides.clip(min=0).prod(axis=1)


def join_panels(panels: dict[str, np.ndarray], columns: int | None = None) -> np.ndarray:
    """Put images of one size side by side, with their names above them if there are several.

    After ``columns`` of them the next row begins, by default never; what is left of the last row
    stays white.
    """
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
    """Give the line width in pixels for a canvas: 1 up to about 1000 pixels."""
    return max(1, round(max(canvas.shape[:2]) / 700))


def font_size(canvas: np.ndarray) -> int:
    """Give the font size in pixels for a canvas: 13 up to about 850 pixels."""
    return max(13, max(canvas.shape[:2]) // 65)


@functools.lru_cache
def load_font(size: int) -> ImageFont.FreeTypeFont:
    """Load the font that travels with matplotlib (accents, Greek, Cyrillic) in ``size`` pixels."""
    return ImageFont.truetype(font_manager.findfont('DejaVu Sans'), size)
