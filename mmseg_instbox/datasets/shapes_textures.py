"""Random colours and patterns for the generated shapes."""
import colorsys
import math

import cv2
import numpy as np


def random_colour(rng: np.random.Generator, saturation: tuple[float, float],
                  value: tuple[float, float], avoid: list[np.ndarray],
                  distance: float) -> np.ndarray:
    """Draw a colour that can be told from others.

    Args:
        rng: Source of randomness.
        saturation: Range of the saturation, 0 to 1.
        value: Range of the brightness, 0 to 1.
        avoid: Colours to keep away from.
        distance: Wanted distance in RGB units (0 to 255). Among 12 draws the first that keeps it
            is taken, or else the one that comes closest to it.

    Returns:
        Array (3,), float32, 0 to 255.
    """
    best, best_gap = None, -1.0
    for _ in range(12):
        hsv = rng.random(), rng.uniform(*saturation), rng.uniform(*value)
        colour = np.array(colorsys.hsv_to_rgb(*hsv), dtype=np.float32) * 255
        gap = min((float(np.linalg.norm(colour - other)) for other in avoid), default=np.inf)
        if gap > best_gap:
            best, best_gap = colour, gap
        if gap >= distance:
            break
    return best


def random_texture(rng: np.random.Generator, size: int, colour: np.ndarray,
                   contrast: float) -> np.ndarray:
    """Paint a square with one of four patterns in two shades of a colour.

    Args:
        rng: Source of randomness.
        size: Side of the square in pixels.
        colour: Mean colour (3,), 0 to 255.
        contrast: Difference of the two shades, in units of 0 to 255.

    Returns:
        Array (size, size, 3), float32.
    """
    pattern = PATTERNS[rng.integers(len(PATTERNS))](rng, size)
    sign = -1.0 if rng.random() < 0.5 else 1.0
    tint = rng.uniform(0.6, 1.0, 3).astype(np.float32) * (contrast * sign)
    return colour + (pattern[..., None] - np.float32(0.5)) * tint


def _axes(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixel coordinates turned by a random angle, two arrays (size, size)."""
    angle = rng.uniform(0, math.pi)
    y, x = np.mgrid[:size, :size].astype(np.float32)
    cos, sin = math.cos(angle), math.sin(angle)
    return x * cos + y * sin, y * cos - x * sin


def _stripes(rng: np.random.Generator, size: int) -> np.ndarray:
    along, _ = _axes(rng, size)
    wave = np.sin(along * (2 * math.pi / rng.uniform(5, 12)) + rng.uniform(0, 6))
    return np.clip(wave * 1.5, -1, 1) / 2 + 0.5


def _dots(rng: np.random.Generator, size: int) -> np.ndarray:
    along, across = _axes(rng, size)
    frequency = 2 * math.pi / rng.uniform(6, 12)
    wave = np.cos(along * frequency) + np.cos(across * frequency)
    return np.clip(wave * 1.5 - 0.5, 0, 1)


def _gradient(rng: np.random.Generator, size: int) -> np.ndarray:
    along, _ = _axes(rng, size)
    return (along - along.min()) / np.ptp(along)


def _blotches(rng: np.random.Generator, size: int) -> np.ndarray:
    cells = int(rng.integers(size // 16 + 2, size // 6 + 3))
    coarse = rng.random((cells, cells), dtype=np.float32)
    return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_LINEAR)


PATTERNS = (_stripes, _dots, _gradient, _blotches)
