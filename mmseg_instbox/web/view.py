"""Draws an image with its instances and describes them for ``viewer.js``."""
import base64
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.structures import InstanceData

from ..core.instances import InstanceMasks
from ..utils.run_lengths import Crop, mask_crops
from ..visualization.drawing import DrawnObjects, draw_objects, instance_colors
from ..visualization.vote_field import draw_vote_field
from .scene import Scene

LAYERS = ('Masks', 'Boxes', 'Labels', 'Categories', 'Votes')
MASK_ALPHA = 0.4
CATEGORY_ALPHA = 0.6
SMALL_SHARE = 0.001  # categories on less of the image are not listed


def render(scene: Scene, ids: np.ndarray, found: InstanceData, layers: Sequence[str],
           score_thr: float, dataset_meta: dict[str, Any], thing_ids: Sequence[int],
           max_objects: int) -> dict[str, Any]:
    """Draws an image and describes what is on it.

    Args:
        scene: The image.
        ids: The instance of each pixel, as ``found`` of :func:`.scene.shown_instances`.
        found: The instances, of which at most ``max_objects`` from ``score_thr`` on are shown.
        layers: What is drawn, of :data:`LAYERS`.
        score_thr: Lowest score.
        dataset_meta: ``classes``, ``thing_classes`` and, if the data set has one, ``palette``.
        thing_ids: Index in ``classes`` of each thing class.
        max_objects: Number of instances.

    Returns:
        dict: ``image`` a ``data:`` URL, ``width`` and ``height`` in pixels, ``runs`` the instance
            of each pixel (see :func:`run_lengths`), ``instances`` a dict each (name, score, box as
            x, y, width, height in pixels of the full image, area, RGB color), ``categories`` (name,
            share, RGB color), ``note`` sentences or ''.
    """
    passing = int((found.scores >= score_thr).sum())
    num = min(passing, max_objects)
    colors = instance_colors(num)
    ids = np.where(ids <= num, ids, 0)
    names = [dataset_meta['thing_classes'][label] for label in found.labels[:num]]
    classes, palette = dataset_meta['classes'], category_colors(dataset_meta)
    background = [index for index, name in enumerate(classes) if name == 'background']
    canvas = draw_votes(scene, thing_ids) if 'Votes' in layers else scene.image
    if 'Categories' in layers:
        canvas = blend_categories(canvas, scene.categories, palette, background)
    crops = list(mask_crops(InstanceMasks(torch.from_numpy(ids), torch.arange(1, num + 1))))
    if 'Masks' not in layers:
        crops = [Crop(np.zeros((0, 0), bool), 0, 0)] * num
    texts = [f'{name} {score:.2f}' for name, score in zip(names, found.scores, strict=False)]
    objects = DrawnObjects(crops, found.bboxes[:num] * np.tile(scene.scale, 2),
                           texts if 'Labels' in layers else None, colors)
    canvas = draw_objects(canvas, objects, MASK_ALPHA, with_boxes='Boxes' in layers)
    jpeg = cv2.imencode('.jpg', canvas[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])[1]
    too_many = '' if num == passing else (
        f'Too many objects to show: {passing} at these settings. Here are the {num} with the '
        'highest scores. Raise the minimum score or the evidence an object needs.')
    return dict(
        image='data:image/jpeg;base64,' + base64.b64encode(jpeg).decode(),
        width=scene.size[1],
        height=scene.size[0],
        runs=run_lengths(ids),
        instances=describe_instances(found, names, colors),
        categories=describe_categories(scene.categories, classes, palette, background)
        if 'Categories' in layers else [],
        note=f'{scene.note} {too_many}'.strip())


def draw_votes(scene: Scene, thing_ids: Sequence[int]) -> np.ndarray:
    """Draws the centre that each cell of a thing votes for, once: ``(h, w, 3)`` uint8."""
    if scene.vote_field is None:
        (x, y), sample = scene.scale, scene.sample
        boxes = sample.pred_boxes.data
        scaled = boxes * boxes.new_tensor([x, y, x, y])[:, None, None]
        height, width = sample.grid_extent
        scene.vote_field = draw_vote_field(scene.image, scaled, sample.pred_probs.data, thing_ids,
                                           (height * y, width * x))
    return scene.vote_field


def blend_categories(canvas: np.ndarray, categories: np.ndarray, palette: np.ndarray,
                     background: Sequence[int]) -> np.ndarray:
    """Blends the colours ``palette`` (C, 3) uint8 of ``categories`` (h, w), but not of those in
    ``background``, into a canvas (h, w, 3) uint8."""
    mixed = cv2.addWeighted(canvas, 1 - CATEGORY_ALPHA, palette[categories], CATEGORY_ALPHA, 0)
    return np.where(np.isin(categories, background)[..., None], canvas, mixed)


def run_lengths(ids: np.ndarray) -> list[int]:
    """``ids`` (H, W) row by row as value, length, value, length, ... of equal neighbours."""
    flat = ids.reshape(-1)
    starts = np.concatenate([[0], np.flatnonzero(np.diff(flat)) + 1, [flat.size]])
    return np.stack([flat[starts[:-1]], np.diff(starts)], axis=1).reshape(-1).tolist()


def describe_instances(found: InstanceData, names: Sequence[str],
                       colors: np.ndarray) -> list[dict[str, Any]]:
    """The first instances as rows of a table."""
    corners = np.rint(found.bboxes[:len(names)]).astype(int)
    return [
        dict(name=name, score=round(float(score), 3), box=[x1, y1, x2 - x1, y2 - y1],
             area=int(area), color=color.tolist())
        for name, score, (x1, y1, x2, y2), area, color in zip(
            names, found.scores, corners.tolist(), found.areas, colors, strict=False)
    ]


def describe_categories(categories: np.ndarray, classes: Sequence[str], palette: np.ndarray,
                        background: Sequence[int]) -> list[dict[str, Any]]:
    """The categories of a map (h, w) with their share of it, the largest first."""
    shares = np.bincount(categories.reshape(-1), minlength=len(classes)) / categories.size
    return [
        dict(name=classes[index], share=round(float(shares[index]), 4),
             color=palette[index].tolist())
        for index in np.argsort(-shares, kind='stable')
        if shares[index] >= SMALL_SHARE and index not in background
    ]


def category_colors(dataset_meta: dict[str, Any]) -> np.ndarray:
    """Colours of all categories, ``(C, 3)`` uint8 RGB; generated ones without a palette."""
    if palette := dataset_meta.get('palette'):
        return np.array(palette, dtype=np.uint8)
    return instance_colors(len(dataset_meta['classes']))
