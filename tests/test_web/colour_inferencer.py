"""An inferencer that reads the objects from the colours of the image."""
import time
from collections.abc import Iterable, Iterator
from types import SimpleNamespace

import cv2
import numpy as np
import torch
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample

from mmseg_instbox.models.task_modules import PixelBoxGrouper, to_instance_data

CLASSES = ('background', 'square <b>', 'disc')  # this name must not be parsed as HTML
STRIDE = 4
GREY = 100


class ColourInferencer:
    """Red and blue pixels are things; their green value says of which object.

    Every cell's box is that of its object, so grouping them finds the objects. ``passes`` counts
    simulated passes of the network, ``groupings`` counts groupings.
    """

    def __init__(self, seconds: float = 0.) -> None:
        self.dataset_meta = dict(classes=CLASSES, thing_classes=CLASSES[1:],
                                 palette=[[0, 0, 0], [250, 120, 0], [0, 120, 250]])
        self.model = SimpleNamespace(grouper=PixelBoxGrouper(), thing_ids=[1, 2])
        self.passes = self.groupings = 0
        self.seconds = seconds

    def stream(self, inputs: Iterable[np.ndarray], batch_size: int = 1,
               keep_boxes: bool = False) -> Iterator[SegDataSample]:
        """One sample for each array (H, W, 3) uint8 BGR."""
        for image in inputs:
            self.passes += 1
            time.sleep(self.seconds)
            yield self._predict(image)

    def _predict(self, image: np.ndarray) -> SegDataSample:
        height, width = image.shape[:2]
        categories = np.zeros((height, width), np.int64)
        categories[image[..., 2] > 180] = 1
        categories[image[..., 0] > 180] = 2
        boxes = np.zeros((height, width, 4), np.float32)
        for green in np.unique(image[categories > 0][:, 1]):
            mask = (categories > 0) & (image[..., 1] == green)
            x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
            boxes[mask] = x, y, x + w, y + h
        rows, cols = np.arange(2, height, STRIDE), np.arange(2, width, STRIDE)
        cells = categories[rows[:, None], cols]
        scores = np.where(cells[None] == np.arange(3)[:, None, None], 0.9, 0.05)
        sample = SegDataSample(metainfo=dict(
            ori_shape=(height, width), grid_extent=(len(rows) * STRIDE, len(cols) * STRIDE)))
        sample.pred_sem_seg = PixelData(data=torch.from_numpy(categories)[None])
        sample.pred_probs = PixelData(data=torch.from_numpy(scores).float())
        sample.pred_boxes = PixelData(
            data=torch.from_numpy(boxes[rows[:, None], cols]).permute(2, 0, 1))
        sample.pred_instances = self.regroup(sample)
        return sample

    def regroup(self, sample: SegDataSample, **options: float) -> InstanceData:
        """Groups with :class:`PixelBoxGrouper` of these options."""
        self.groupings += 1
        return to_instance_data(PixelBoxGrouper(**options)(
            sample.pred_probs.data, sample.pred_boxes.data, sample.ori_shape,
            self.model.thing_ids, sample.grid_extent, sample.pred_sem_seg.data[0]))


def draw_scene() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """An image (96, 128, 3) uint8 BGR and the masks of its objects, the highest score first.

    ``square`` fills its box, ``angle`` is an L on a quarter of its box, ``disc`` is small: scores
    about 0.8, 0.4 and 0.3. The angle has too little of its box for ``min_gain`` above 0.3.
    """
    image = np.full((96, 128, 3), GREY, np.uint8)
    masks = {name: np.zeros((96, 128), bool) for name in ('square', 'angle', 'disc')}
    masks['square'][8:40, 8:40] = True
    masks['angle'][8:68, 60:68] = True
    masks['angle'][60:68, 60:120] = True
    masks['disc'][72:80, 16:24] = True
    for name, color in dict(square=(0, 20, 250), angle=(0, 40, 250), disc=(250, 60, 0)).items():
        image[masks[name]] = color
    return image, masks
