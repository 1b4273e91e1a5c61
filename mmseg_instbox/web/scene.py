"""A picture that went through the network: all that the page needs to group and draw it again."""
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample

from .layers import display_size, instance_map, resize_map, resize_picture


@dataclass
class Found:
    """N instances of a picture, best score first.

    Attributes:
        ids (np.ndarray): (h, w) int32 at display size, 0 none, k + 1 the k-th instance.
        labels (np.ndarray): (N,) index into the thing classes.
        scores (np.ndarray): (N,).
        boxes (np.ndarray): (N, 4) in pixels of the full picture.
        areas (np.ndarray): (N,) pixels of the full picture.
    """
    ids: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    boxes: np.ndarray
    areas: np.ndarray


@dataclass
class Scene:
    """What is kept of a picture.

    Attributes:
        name (str): File stem, for downloads.
        picture (np.ndarray): (h, w, 3) uint8 RGB at display size.
        categories (np.ndarray): (h, w) int category of each pixel at display size.
        sample (SegDataSample): ``pred_boxes``, ``pred_scores``, ``pred_sem_seg`` and metainfo.
        last (tuple, optional): Grouping options and what they found, so that a change of what is
            drawn does not group again.
        vote_field (np.ndarray, optional): (h, w, 3) uint8, once it was drawn.
    """
    name: str
    picture: np.ndarray
    categories: np.ndarray
    sample: SegDataSample
    last: tuple[dict[str, Any], Found] | None = field(default=None, repr=False)
    vote_field: np.ndarray | None = field(default=None, repr=False)

    @property
    def full_size(self) -> tuple[int, int]:
        """Height and width of the full picture."""
        return tuple(self.sample.pred_sem_seg.shape)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of what is shown."""
        return self.picture.shape[:2]

    @property
    def scale(self) -> np.ndarray:
        """(2,) what x and y of the full picture are multiplied by to get those shown."""
        return np.array(self.size[::-1]) / np.array(self.full_size[::-1])


def make_scene(name: str, image: np.ndarray, sample: SegDataSample) -> Scene:
    """Keeps of a prediction what is needed to group it again.

    Args:
        name: Of the picture, without ending.
        image: (H, W, 3) uint8 BGR.
        sample: With ``pred_sem_seg``, ``pred_boxes``, ``pred_scores`` and ``grid_extent``.
    """
    size = display_size(image.shape[:2])
    num = len(sample.pred_scores.data)
    categories = sample.pred_sem_seg.data.cpu().to(torch.uint8 if num <= 256 else torch.int16)
    kept = SegDataSample(metainfo=sample.metainfo)
    kept.pred_sem_seg = PixelData(data=categories)
    kept.pred_boxes = sample.pred_boxes.cpu()
    kept.pred_scores = sample.pred_scores.cpu()
    picture = resize_picture(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), size)
    return Scene(name, picture, resize_map(categories[0].numpy(), size), kept)


def summarise(instances: InstanceData, size: tuple[int, int]) -> Found:
    """What the page shows of ``instances`` (as the grouper gives them), at ``size`` (h, w)."""
    masks = instances.masks.cpu().numpy()
    ids = resize_map(instance_map(masks), size)
    areas = np.array([np.count_nonzero(mask) for mask in masks], dtype=np.int64)
    labels, scores, boxes = (instances[key].cpu().numpy() for key in ('labels', 'scores', 'bboxes'))
    return Found(ids, labels, scores, boxes, areas)


def full_sample(scene: Scene, instances: InstanceData) -> SegDataSample:
    """A data sample as the inferencer gives it, with ``instances`` of the full picture."""
    sample = SegDataSample(metainfo=scene.sample.metainfo)
    sample.pred_sem_seg = PixelData(data=scene.sample.pred_sem_seg.data.long())
    sample.pred_instances = instances
    return sample
