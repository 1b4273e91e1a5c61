"""What the page keeps of an image after the network: outputs to group, arrays to draw."""
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample

from ..utils.run_lengths import mask_crops
from ..visualization.drawing import resize_map

MAX_SIDE = 1024  # pixels of the longer side of what is shown; downloads have the full size
MIN_SIDE = 800  # so that labels are sharp


@dataclass
class Scene:
    """An image and the outputs of the network for it.

    Attributes:
        name: File name without suffix, for downloads.
        image: ``(h, w, 3)`` uint8 RGB at display size.
        categories: ``(h, w)`` category of each pixel at display size.
        sample: ``pred_boxes``, ``pred_probs``, ``pred_sem_seg`` and metainfo.
        note: What the visitor has to know of the image, or ''.
        grouped: The last options of the grouper and what :func:`shown_instances` gives for them.
        vote_field: ``(h, w, 3)`` uint8, once it was drawn.
    """
    name: str
    image: np.ndarray
    categories: np.ndarray
    sample: SegDataSample
    note: str = ''
    grouped: tuple[dict[str, Any], tuple[np.ndarray, InstanceData]] | None = None
    vote_field: np.ndarray | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width at display size."""
        return self.image.shape[:2]

    @property
    def scale(self) -> tuple[float, float]:
        """Display size divided by full size, for x and y."""
        height, width = self.sample.pred_sem_seg.shape
        return self.size[1] / width, self.size[0] / height


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


def shown_instances(instances: InstanceData,
                    size: tuple[int, int]) -> tuple[np.ndarray, InstanceData]:
    """What is shown of the N instances that a grouper found, best score first.

    Returns:
        tuple[np.ndarray, InstanceData]: The instance of each pixel at display ``size``, ``(h, w)``
        int32, 0 none and k + 1 the k-th; and arrays ``labels``, ``scores``, ``bboxes`` and
        ``areas`` in pixels of the full image.
    """
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


def display_size(shape: tuple[int, int]) -> tuple[int, int]:
    """Height and width of ``shape`` (H, W) with a longer side of ``MIN_SIDE`` to ``MAX_SIDE``."""
    longer = max(shape)
    shown = min(max(longer, MIN_SIDE), MAX_SIDE)
    return tuple(max(1, round(side * shown / longer)) for side in shape)
