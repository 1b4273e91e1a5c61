"""Pixels in stretches of equal values, which makes counting them many times faster."""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class PixelRuns(NamedTuple):
    """An image read row by row and cut wherever a mask or a map changes, into R runs.

    ``masks`` (K, R) bool and ``maps``, each (R,), hold the value of each run; ``lengths`` (R,)
    int64 are the runs' numbers of pixels.
    """
    masks: np.ndarray
    maps: tuple[np.ndarray, ...]
    lengths: np.ndarray


def find_runs(masks: np.ndarray, maps: Sequence[np.ndarray]) -> PixelRuns:
    """Cut an image into runs.

    Args:
        masks (ndarray): Masks, (K, H, W) bool; there may be none.
        maps (Sequence[ndarray]): One or more maps, (H, W) each; small types are faster.

    Returns:
        PixelRuns: The runs; whatever is counted over them, by length, is that of the pixels.
    """
    size = maps[0].size
    masks, maps = masks.reshape(len(masks), size), [each.ravel() for each in maps]
    changes = np.zeros(size - 1, dtype=bool)
    differs = np.empty_like(changes)
    for values in (*masks, *maps):
        np.not_equal(values[1:], values[:-1], out=differs)
        changes |= differs
    ends = np.append(np.flatnonzero(changes), size - 1)
    return PixelRuns(masks.take(ends, axis=1), tuple(each.take(ends) for each in maps),
                     np.diff(ends, prepend=-1))


def count_values(values: np.ndarray, size: int, lengths: np.ndarray | None = None) -> np.ndarray:
    """How many pixels have each of the values 0 to ``size`` - 1.

    Args:
        values (ndarray): Value of each pixel or, with ``lengths``, of each run; integer.
        size (int): Number of values.
        lengths (ndarray, optional): Pixels of each run, of the shape of ``values``.

    Returns:
        ndarray: Numbers of pixels, (size,) int64.
    """
    weights = None if lengths is None else lengths.ravel()
    return np.bincount(values.ravel(), weights, minlength=size).astype(np.int64)
