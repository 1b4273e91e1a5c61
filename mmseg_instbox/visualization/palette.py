"""Colours that tell instances apart."""
import colorsys

import numpy as np

# Hand-picked so that neighbours in the list, and the first few above all, differ most.
BASE_COLORS = (
    (230, 25, 75), (60, 180, 75), (255, 225, 25), (0, 110, 220), (245, 130, 48), (145, 30, 180),
    (70, 240, 240), (240, 50, 230), (170, 240, 50), (165, 85, 30), (250, 170, 200), (0, 128, 128),
    (190, 150, 255), (128, 0, 0), (170, 255, 195), (90, 90, 255), (128, 128, 0), (255, 200, 140))
GOLDEN_RATIO = 0.618034


def instance_colors(count: int) -> np.ndarray:
    """Give one colour for each of ``count`` instances, always the same ones in the same order.

    Args:
        count (int): Number of colours, any number from 0.

    Returns:
        np.ndarray: RGB colours, (count, 3) uint8. The first are hand-picked; further ones step
        round the colour circle by the golden ratio, at three levels of brightness.
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
