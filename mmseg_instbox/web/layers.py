"""What the page draws on a picture, as functions on arrays."""
from itertools import pairwise

import cv2
import numpy as np

from mmseg_instbox.visualization.drawing import draw_labels, line_width

MAX_SIDE = 1024  # pixels of the longer side of what is shown; downloads have the full size
MIN_SIDE = 800  # so that labels are sharp
MASK_ALPHA = 0.4
CATEGORY_ALPHA = 0.6


def display_size(shape: tuple[int, int]) -> tuple[int, int]:
    """Height and width at which an image of ``shape`` (H, W) is shown.

    The longer side of large ones shrinks to ``MAX_SIDE``, that of small ones grows to ``MIN_SIDE``.
    """
    longer = max(shape)
    shown = min(max(longer, MIN_SIDE), MAX_SIDE)
    return tuple(max(1, round(side * shown / longer)) for side in shape)


def resize_picture(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture (H, W, 3) uint8 at ``size`` (h, w): averaged if that is smaller."""
    smaller = size[0] < picture.shape[0]
    return cv2.resize(picture, size[::-1],
                      interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)


def resize_map(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A map of numbers (H, W) at ``size`` (h, w), each pixel the value at its centre."""
    rows, cols = (((np.arange(new) + 0.5) * old / new).astype(np.int64)
                  for new, old in zip(size, values.shape, strict=True))
    return values[rows[:, None], cols]


def instance_map(masks: np.ndarray) -> np.ndarray:
    """The instance of each pixel of ``masks`` (N, H, W) bool: (H, W) int32, 0 none, k + 1 for the
    k-th; the first of several."""
    ids = np.zeros(masks.shape[1:], dtype=np.int32)
    for index in reversed(range(len(masks))):
        ids[masks[index]] = index + 1
    return ids


def runs(ids: np.ndarray) -> list[int]:
    """Numbers ``(H, W)`` row by row as value, length, value, length, ... of equal neighbours."""
    flat = ids.reshape(-1)
    starts = np.concatenate([[0], np.flatnonzero(np.diff(flat)) + 1, [flat.size]])
    values = flat[starts[:-1]].tolist()
    lengths = [end - start for start, end in pairwise(starts.tolist())]
    return [number for pair in zip(values, lengths, strict=True) for number in pair]


def blend_categories(canvas: np.ndarray, categories: np.ndarray, palette: np.ndarray,
                     hidden: int | None) -> np.ndarray:
    """A picture with the colour of each pixel's category laid over it.

    Args:
        canvas: (h, w, 3) uint8.
        categories: (h, w) index into ``palette``.
        palette: (C, 3) uint8 RGB.
        hidden: The category that stays without colour (background), or None.

    Returns:
        np.ndarray: (h, w, 3) uint8.
    """
    mixed = cv2.addWeighted(canvas, 1 - CATEGORY_ALPHA, palette[categories], CATEGORY_ALPHA, 0)
    if hidden is None:
        return mixed
    return np.where((categories == hidden)[..., None], canvas, mixed)


def blend_masks(canvas: np.ndarray, ids: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """A picture with N masks laid over it, each with a rim; the time does not grow with N.

    Args:
        canvas: (h, w, 3) uint8.
        ids: (h, w) int, 0 none, k + 1 the k-th instance.
        colors: (N, 3) uint8 RGB.

    Returns:
        np.ndarray: (h, w, 3) uint8.
    """
    painted = np.concatenate([np.zeros((1, 3), np.uint8), colors])[ids]
    mixed = cv2.addWeighted(canvas, 1 - MASK_ALPHA, painted, MASK_ALPHA, 0)
    reach = 2 * line_width(canvas)
    window = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    small = ids.astype(np.uint16)
    rim = cv2.dilate(small, window) != cv2.erode(small, window)
    return np.where((ids > 0)[..., None], np.where(rim[..., None], painted, mixed), canvas)


def draw_boxes(canvas: np.ndarray, boxes: np.ndarray, colors: np.ndarray,
               texts: list[str] | None, with_boxes: bool) -> np.ndarray:
    """A picture with boxes and labels of N instances.

    Args:
        canvas: (h, w, 3) uint8.
        boxes: (N, 4) in pixels of the canvas, right and bottom edge exclusive.
        colors: (N, 3) uint8 RGB.
        texts: N labels, None for none.
        with_boxes: Whether to draw the boxes, too.

    Returns:
        np.ndarray: (h, w, 3) uint8.
    """
    canvas = canvas.copy()
    boxes = np.rint(boxes).astype(int)
    if with_boxes:
        for box, color in zip(boxes, colors.tolist(), strict=True):
            cv2.rectangle(canvas, box[:2].tolist(), (box[2:] - 1).tolist(), color,
                          line_width(canvas))
    return canvas if texts is None else draw_labels(canvas, boxes, texts, colors)
