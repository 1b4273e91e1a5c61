"""A prediction on an image of 60 x 80 pixels whose regions are hard to write down."""
from collections.abc import Callable

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample

# Things in another order than classes, so that mixed up indices show.
META = dict(
    classes=('background', 'cat', 'sky', 'dog'),
    thing_classes=('dog', 'cat'),
    palette=[[0, 0, 0], [200, 0, 0], [0, 0, 200], [0, 200, 0]])
CATEGORIES = np.array([3, 1])  # of the things, in classes
SHAPE = (60, 80)


@pytest.fixture
def meta() -> dict:
    return dict(META)


@pytest.fixture
def make_sample() -> Callable[..., SegDataSample]:
    """Makes a data sample of masks (N, H, W), labels, scores, and a category map (H, W) on which
    the instances lie."""
    def make(masks: np.ndarray, labels: list[int], scores: list[float],
             seg_map: np.ndarray | None = None, **metainfo) -> SegDataSample:
        masks = torch.from_numpy(np.asarray(masks, dtype=bool))
        if seg_map is None:
            seg_map = np.zeros(masks.shape[1:], np.int64)
            for mask, label in zip(masks.numpy(), labels, strict=True):
                seg_map[mask] = CATEGORIES[label]
        sample = SegDataSample(metainfo=dict(ori_shape=tuple(masks.shape[1:]), **metainfo))
        sample.pred_sem_seg = PixelData(data=torch.from_numpy(seg_map)[None])
        sample.pred_instances = InstanceData(
            masks=masks, labels=torch.tensor(labels, dtype=torch.int64),
            scores=torch.tensor(scores, dtype=torch.float32),
            bboxes=torch.zeros(len(masks), 4))
        return sample
    return make


@pytest.fixture
def masks() -> np.ndarray:
    """A square with two holes, a cat in two parts, a single pixel, a diagonal line."""
    masks = np.zeros((4, *SHAPE), dtype=bool)
    masks[0, 10:30, 5:30] = True
    masks[0, 14:20, 8:12] = False
    masks[0, 15:25, 20:28] = False
    masks[1, 40:55, 10:30] = True
    masks[1, 42:54, 34:50] = True
    masks[2, 59, 79] = True
    masks[3, range(10, 30), range(50, 70)] = True
    return masks


@pytest.fixture
def sample(make_sample, masks) -> SegDataSample:
    """``masks`` as dog, cat, dog, cat below three rows of sky, with a dog's pixel without instance
    in the lower left corner."""
    seg_map = np.zeros(SHAPE, np.int64)
    seg_map[:3] = META['classes'].index('sky')
    for mask, category in zip(masks, (3, 1, 3, 1), strict=True):
        seg_map[mask] = category
    seg_map[59, 0] = 3
    return make_sample(masks, [0, 1, 0, 1], [.9, .8, .3, .6], seg_map, name='scene')


@pytest.fixture
def iou() -> Callable[[np.ndarray, np.ndarray], float]:
    """Gives the IoU of two masks."""
    return lambda one, other: float((one & other).sum() / (one | other).sum())
