"""What the page shows of a picture: one dict that travels to the browser."""
import base64
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from mmseg_instbox.visualization.palette import instance_colors

from .layers import blend_categories, blend_masks, draw_boxes, runs
from .scene import Found, Scene

LAYERS = ('Masks', 'Boxes', 'Labels', 'Categories', 'Votes')
SMALL_SHARE = 0.001  # categories on less of the picture are not named


def render(scene: Scene, found: Found, layers: Sequence[str], score_thr: float,
           dataset_meta: dict[str, Any], thing_ids: Sequence[int],
           max_objects: int) -> dict[str, Any]:
    """Draws a picture and describes what is on it.

    Args:
        scene: The picture.
        found: Its instances, best score first.
        layers: What is drawn, of :data:`LAYERS`.
        score_thr: Instances below are left out.
        dataset_meta: ``classes``, ``thing_classes``, ``palette``.
        thing_ids: Index in ``classes`` of each thing class.
        max_objects: How many instances are shown.

    Returns:
        dict: ``picture`` a ``data:`` address, ``width`` and ``height`` in pixels, ``runs`` of the
            instance of each pixel (see :func:`.layers.runs`), ``instances`` a dict each (name,
            score, box as x, y, width, height, area, color), ``categories`` (name, share, color),
            ``note`` a sentence or ''.
    """
    passing = int((found.scores >= score_thr).sum())
    num = min(passing, max_objects)
    colors = instance_colors(num)
    names = [dataset_meta['thing_classes'][label] for label in found.labels[:num]]
    ids = np.where(found.ids <= num, found.ids, 0)
    canvas = base_picture(scene, layers, dataset_meta, thing_ids)
    if 'Masks' in layers:
        canvas = blend_masks(canvas, ids, colors)
    texts = None
    if 'Labels' in layers:
        texts = [f'{name} {score:.2f}' for name, score in zip(names, found.scores, strict=False)]
    canvas = draw_boxes(canvas, found.boxes[:num] * np.tile(scene.scale, 2), colors, texts,
                        'Boxes' in layers)
    return dict(
        picture=jpeg_address(canvas),
        width=scene.size[1],
        height=scene.size[0],
        runs=runs(ids),
        instances=describe(found, names, colors),
        categories=list_categories(scene.categories, dataset_meta)
        if 'Categories' in layers else [],
        note=too_many(passing, max_objects),
    )


def base_picture(scene: Scene, layers: Sequence[str], dataset_meta: dict[str, Any],
                 thing_ids: Sequence[int]) -> np.ndarray:
    """The picture under the instances: bare, or with votes and categories; (h, w, 3) uint8."""
    canvas = scene.picture
    if 'Votes' in layers:
        if scene.vote_field is None:
            scene.vote_field = vote_picture(scene, thing_ids)
        canvas = scene.vote_field
    if 'Categories' in layers:
        canvas = blend_categories(canvas, scene.categories, palette_of(dataset_meta),
                                  background_of(dataset_meta))
    return canvas


def vote_picture(scene: Scene, thing_ids: Sequence[int]) -> np.ndarray:
    """Where the pixels of things point, drawn on the picture: (h, w, 3) uint8."""
    from mmseg_instbox.visualization.vote_field import draw_vote_field
    x, y = scene.scale.tolist()
    sample = scene.sample
    boxes = sample.pred_boxes.data * sample.pred_boxes.data.new_tensor([x, y, x, y])[:, None, None]
    height, width = sample.grid_extent
    return draw_vote_field(scene.picture, boxes, sample.pred_scores.data, thing_ids,
                           (height * y, width * x))


def describe(found: Found, names: Sequence[str], colors: np.ndarray) -> list[dict[str, Any]]:
    """The first instances as rows of a table, boxes in pixels of the full picture."""
    corners = np.rint(found.boxes[:len(names)]).astype(int)
    return [
        dict(name=name, score=round(float(score), 3), box=[x1, y1, x2 - x1, y2 - y1],
             area=int(area), color=rgb(color))
        for name, score, (x1, y1, x2, y2), area, color in zip(
            names, found.scores, corners.tolist(), found.areas, colors, strict=False)
    ]


def list_categories(categories: np.ndarray, dataset_meta: dict[str, Any]) -> list[dict[str, Any]]:
    """The categories of a map (h, w), the largest first, as name, share of the picture, colour."""
    counts = np.bincount(categories.reshape(-1), minlength=len(dataset_meta['classes']))
    shares = counts / categories.size
    palette = palette_of(dataset_meta)
    hidden = background_of(dataset_meta)
    return [
        dict(name=dataset_meta['classes'][index], share=round(float(shares[index]), 4),
             color=rgb(palette[index]))
        for index in np.argsort(-shares, kind='stable')
        if shares[index] >= SMALL_SHARE and index != hidden
    ]


def palette_of(dataset_meta: dict[str, Any]) -> np.ndarray:
    """Colours of all categories, (C, 3) uint8 RGB; own ones where the data set has none."""
    palette = dataset_meta.get('palette')
    if not palette:
        return instance_colors(len(dataset_meta['classes']))
    return np.array(palette, dtype=np.uint8)


def background_of(dataset_meta: dict[str, Any]) -> int | None:
    """Index of the category 'background', None where there is none."""
    classes = list(dataset_meta['classes'])
    return classes.index('background') if 'background' in classes else None


def too_many(passing: int, max_objects: int) -> str:
    """A sentence where more objects were found than are shown, or ''."""
    if passing <= max_objects:
        return ''
    return (f'Too many objects to show: {passing} at these settings, here are the {max_objects} '
            'surest. Raise the score or the evidence an object needs.')


def jpeg_address(picture: np.ndarray) -> str:
    """A picture (h, w, 3) uint8 RGB as ``data:`` address."""
    encoded = cv2.imencode('.jpg', picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])[1]
    return 'data:image/jpeg;base64,' + base64.b64encode(encoded).decode()


def rgb(color: np.ndarray) -> str:
    """A colour (3,) uint8 as the browser writes it."""
    return '#{:02x}{:02x}{:02x}'.format(*(int(part) for part in color))
