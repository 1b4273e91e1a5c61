"""What the page keeps of an image after the network, and what it draws and tells of it."""
import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample

from ..core.instances import InstanceMasks
from ..utils.run_lengths import Crop, mask_crops
from ..visualization.drawing import DrawnObjects, draw_objects, instance_colors, resize_map
from ..visualization.vote_field import draw_vote_field

LAYERS = ('Masks', 'Boxes', 'Labels', 'Categories', 'Votes')
MAX_OBJECTS = 200  # of an image that are shown, best score first
MASK_ALPHA = 0.4
CATEGORY_ALPHA = 0.6
SMALL_SHARE = 0.001  # categories on less of the image are not listed
MAX_SIDE = 1024  # pixels of the longer side of what is shown; downloads have the full size
MIN_SIDE = 800  # so that labels are sharp


@dataclass
class Scene:
    """An image and the outputs of the network for it."""
    name: str  # file name without suffix, for downloads
    image: np.ndarray  # (h, w, 3) uint8 RGB at display size
    categories: np.ndarray  # (h, w), category of each pixel at display size
    sample: SegDataSample  # pred_boxes, pred_probs, pred_sem_seg and metainfo
    note: str = ''  # what the visitor has to know of the image
    # the last options of the grouper, and what `shown_instances` gives for them
    grouped: tuple[dict[str, Any], tuple[np.ndarray, InstanceData]] | None = None
    vote_field: np.ndarray | None = None  # (h, w, 3) uint8, once it was drawn

    @property
    def size(self) -> tuple[int, int]:
        """Height and width at display size."""
        return self.image.shape[:2]

    @property
    def scale(self) -> np.ndarray:
        """Display size divided by full size, for x1, y1, x2 and y2."""
        return np.tile(np.divide(self.size, self.sample.pred_sem_seg.shape)[::-1], 2)


def make_scene(name: str, image: np.ndarray, sample: SegDataSample, note: str = '') -> Scene:
    """Keeps of an image ``(H, W, 3)`` uint8 BGR and its prediction, a ``sample`` with
    ``pred_boxes``, what grouping and drawing need; arguments as of :class:`Scene`."""
    size = display_size(image.shape[:2])
    small = torch.uint8 if len(sample.pred_probs.data) <= 256 else torch.int16
    kept = SegDataSample(metainfo=sample.metainfo)
    kept.pred_sem_seg = PixelData(data=sample.pred_sem_seg.data.cpu().to(small))
    kept.pred_boxes = sample.pred_boxes.cpu()
    kept.pred_probs = sample.pred_probs.cpu()
    interpolation = cv2.INTER_AREA if size[0] < image.shape[0] else cv2.INTER_CUBIC
    shown = cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), size[::-1],
                       interpolation=interpolation)
    return Scene(name, shown, resize_map(kept.pred_sem_seg.data[0].numpy(), size), kept, note)


def display_size(shape: tuple[int, int]) -> tuple[int, int]:
    """Height and width of ``shape`` (H, W) with a longer side of ``MIN_SIDE`` to ``MAX_SIDE``."""
    longer = max(shape)
    shown = min(max(longer, MIN_SIDE), MAX_SIDE)
    return tuple(max(1, round(side * shown / longer)) for side in shape)


def shown_instances(instances: InstanceData,
                    size: tuple[int, int]) -> tuple[np.ndarray, InstanceData]:
    """What is shown of the N instances that a grouper found, best score first: the instance of each
    pixel at display ``size``, ``(h, w)`` int32, 0 none and k + 1 the k-th; and arrays ``labels``,
    ``scores``, ``bboxes`` and ``areas`` in pixels of the full image."""
    ids, areas = instance_map(instances.masks.cpu())
    found = InstanceData(areas=areas, **{
        key: value.cpu().numpy() for key, value in instances.items() if key != 'masks'})
    return resize_map(ids, size), found


def instance_map(masks: Any) -> tuple[np.ndarray, np.ndarray]:
    """Instance of each pixel, ``(H, W)`` int32, 0 none and k + 1 the k-th, and areas ``(N,)`` int64
    of ``masks`` ``(N, H, W)`` bool; where several are at a pixel, the first one counts there."""
    ids, areas = np.zeros(masks.shape[1:], dtype=np.int32), np.zeros(len(masks), dtype=np.int64)
    for index, crop in reversed(list(enumerate(mask_crops(masks)))):
        ids[crop.window][crop.pixels], areas[index] = index + 1, np.count_nonzero(crop.pixels)
    return ids, areas


def render(scene: Scene, ids: np.ndarray, found: InstanceData, layers: Sequence[str],
           score_thr: float, dataset_meta: dict[str, Any],
           thing_ids: Sequence[int]) -> dict[str, Any]:
    """Draws the layers, of :data:`LAYERS`, of an image and describes for ``viewer.js`` what is on
    it: of the instances that :func:`shown_instances` gave, ``ids`` and ``found``, at most
    ``MAX_OBJECTS`` from ``score_thr`` on. ``dataset_meta`` and ``thing_ids`` are the inferencer's.

    Returns:
        dict: ``image`` a ``data:`` URL, ``width`` and ``height`` in pixels, ``runs`` the instance
            of each pixel (see :func:`run_lengths`), ``instances`` a dict each (name, score, box as
            x, y, width, height in pixels of the full image, area, RGB color), ``categories`` (name,
            share, RGB color), ``note`` sentences or ''.
    """
    passing = int((found.scores >= score_thr).sum())
    num = min(passing, MAX_OBJECTS)
    found, ids, colors = found[:num], np.where(ids <= num, ids, 0), instance_colors(num)
    names = [dataset_meta['thing_classes'][label] for label in found.labels]
    classes = dataset_meta['classes']
    palette = np.uint8(dataset_meta.get('palette') or instance_colors(len(classes)))
    background = [index for index, name in enumerate(classes) if name == 'background']
    canvas = draw_votes(scene, thing_ids) if 'Votes' in layers else scene.image
    if 'Categories' in layers:
        canvas = blend_categories(canvas, scene.categories, palette, background)
    crops = list(mask_crops(InstanceMasks(torch.from_numpy(ids), torch.arange(1, num + 1))))
    if 'Masks' not in layers:
        crops = [Crop(np.zeros((0, 0), bool), 0, 0)] * num
    texts = [f'{name} {score:.2f}' for name, score in zip(names, found.scores, strict=True)]
    objects = DrawnObjects(crops, found.bboxes * scene.scale,
                           texts if 'Labels' in layers else None, colors)
    canvas = draw_objects(canvas, objects, MASK_ALPHA, with_boxes='Boxes' in layers)
    jpeg = cv2.imencode('.jpg', canvas[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])[1]
    corners = np.rint(found.bboxes).astype(int).tolist()
    rows = zip(names, found.scores.tolist(), corners, found.areas.tolist(), colors.tolist(),
               strict=True)
    too_many = '' if num == passing else (
        f'Too many objects to show: {passing} at these settings. Here are the {num} with the '
        'highest scores. Raise the minimum score or the evidence an object needs.')
    return dict(
        image='data:image/jpeg;base64,' + base64.b64encode(jpeg).decode(),
        width=scene.size[1],
        height=scene.size[0],
        runs=run_lengths(ids),
        instances=[dict(name=name, score=round(score, 3), box=[x1, y1, x2 - x1, y2 - y1],
                        area=area, color=color)
                   for name, score, (x1, y1, x2, y2), area, color in rows],
        categories=describe_categories(scene.categories, classes, palette, background)
        if 'Categories' in layers else [],
        note=f'{scene.note} {too_many}'.strip())


def draw_votes(scene: Scene, thing_ids: Sequence[int]) -> np.ndarray:
    """Draws the centre that each cell of a thing votes for, once: ``(h, w, 3)`` uint8."""
    if scene.vote_field is None:
        boxes = scene.sample.pred_boxes.data
        scaled = boxes * boxes.new_tensor(scene.scale)[:, None, None]
        extent = tuple(np.multiply(scene.sample.grid_extent, scene.scale[1::-1]))
        scene.vote_field = draw_vote_field(scene.image, scaled, scene.sample.pred_probs.data,
                                           thing_ids, extent)
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
