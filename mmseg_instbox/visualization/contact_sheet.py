"""Many pictures on one sheet."""
from collections.abc import Sequence

import cv2
import numpy as np


def contact_sheet(pictures: Sequence[np.ndarray], columns: int = 2, width: int = 900,
                  gap: int = 8) -> np.ndarray:
    """Put pictures of any sizes into rows, each scaled to the width of a column.

    Args:
        pictures (Sequence[ndarray]): RGB, (H, W, 3) uint8 each, at least one.
        columns (int): Pictures side by side.
        width (int): Width of a column in pixels; smaller pictures are not enlarged.
        gap (int): White pixels around each.

    Returns:
        ndarray: The sheet, (H', W', 3) uint8.
    """
    scaled = [_fit_width(picture, width) for picture in pictures]
    columns, width = min(columns, len(scaled)), max(picture.shape[1] for picture in scaled)
    rows = [scaled[start:start + columns] for start in range(0, len(scaled), columns)]
    strips = []
    for row in rows:
        height = max(picture.shape[0] for picture in row)
        strip = np.full((height + 2 * gap, columns * (width + 2 * gap), 3), 255, np.uint8)
        for place, picture in enumerate(row):
            left = place * (width + 2 * gap) + gap
            strip[gap:gap + picture.shape[0], left:left + picture.shape[1]] = picture
        strips.append(strip)
    return np.concatenate(strips)


def _fit_width(picture: np.ndarray, width: int) -> np.ndarray:
    factor = min(1., width / picture.shape[1])
    return cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
