"""Drawings of an image's objects and predictions, coloured and labelled by kind of error."""
from collections.abc import Sequence
from typing import Any

import numpy as np

from .drawing import draw_objects, hatch_void, to_canvas
from .predictions import MIN_SIZE, on_canvas

ALPHA = 0.35
# far apart in hue, and on a photograph; a label says the kind as well
KIND_COLORS = dict(
    correct=(46, 160, 67),
    missed=(230, 25, 75),
    background=(240, 50, 230),
    border=(255, 214, 10),
    wrong_category=(245, 130, 48),
    both=(165, 85, 30),
    merged=(0, 110, 220),
    split=(70, 225, 240),
    duplicate=(145, 30, 180))
KIND_TITLES = dict(
    correct='found',
    missed='missed',
    background='on nothing',
    border='bad border',
    wrong_category='wrong category',
    both='wrong category and border',
    merged='merged',
    split='split',
    duplicate='duplicate')


def draw_kinds(image: np.ndarray, masks: Any, bboxes: np.ndarray, names: Sequence[str],
               kinds: Sequence[str], void: np.ndarray | None = None) -> np.ndarray:
    """Draw N objects or predictions of an image in the colours of their kinds.

    The image, RGB (H, W, 3) uint8, is enlarged by the whole factor that brings its longer side to
    at least ``MIN_SIZE`` pixels; ``void`` (H, W) bool is hatched. Masks (N, H, W) bool begin with
    the most important one; kinds are keys of ``KIND_COLORS``.
    """
    canvas = to_canvas(image, MIN_SIZE)
    if void is not None:
        canvas = hatch_void(canvas, void)
    texts = [name if kind == 'correct' else f'{KIND_TITLES[kind]}: {name}'
             for name, kind in zip(names, kinds, strict=True)]
    objects = on_canvas(masks, bboxes, texts, image.shape[:2], canvas)
    objects.colors = np.array([KIND_COLORS[kind] for kind in kinds], np.uint8).reshape(-1, 3)
    return draw_objects(canvas, objects, ALPHA, with_boxes=False)
