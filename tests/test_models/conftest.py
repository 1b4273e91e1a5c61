"""Scenes with instances, their data samples, and a tiny model, for the tests of the models."""
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample
from torch import Tensor

THINGS = 3  # categories 1 to 3 are things, 0 is background


def slow_box(mask: np.ndarray) -> list[int]:
    """x1, y1, x2, y2 of a mask, found row by row and column by column."""
    ys = [y for y in range(mask.shape[0]) if mask[y].any()]
    xs = [x for x in range(mask.shape[1]) if mask[:, x].any()]
    return [xs[0], ys[0], xs[-1] + 1, ys[-1] + 1]


@pytest.fixture(autouse=True)
def seeded_single_thread() -> Iterator[None]:
    """Every run draws the same numbers; threads cost more than they save on tensors this small."""
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope='session')
def random_scene() -> Callable[..., tuple[Tensor, Tensor]]:
    """A function that draws overlapping rectangles: category map and instance map, each (H, W)."""

    def draw(height: int, width: int, num: int, seed: int = 0, void: bool = True):
        rng = np.random.default_rng(seed)
        seg, inst = np.zeros((height, width), np.int64), np.zeros((height, width), np.int32)
        for index in range(1, num + 1):
            y, x = rng.integers(0, height - 4), rng.integers(0, width - 4)
            region = np.s_[y:y + rng.integers(4, height // 2), x:x + rng.integers(4, width // 2)]
            seg[region], inst[region] = 1 + index % THINGS, 7 * index
        if void:
            region = np.s_[height // 3:height // 3 + 9, :width // 2]
            seg[region] = inst[region] = 255
        return torch.from_numpy(seg), torch.from_numpy(inst)

    return draw


@pytest.fixture(scope='session')
def make_sample() -> Callable[[Tensor, Tensor], SegDataSample]:
    """A function that packs a category map and an instance map, each (H, W), as a data sample."""

    def pack(seg: Tensor, inst: Tensor) -> SegDataSample:
        ids = [int(i) for i in inst.unique() if i not in (0, 255)]
        boxes = [slow_box((inst == i).numpy()) for i in ids]
        labels = [int(seg[inst == i][0]) - 1 for i in ids]
        sample = SegDataSample(gt_sem_seg=PixelData(data=seg[None]))
        sample.gt_inst_map = PixelData(data=inst[None])
        sample.gt_instances = InstanceData(
            ids=torch.tensor(ids, dtype=torch.int64),
            labels=torch.tensor(labels, dtype=torch.int64),
            bboxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4))
        return sample

    return pack


@pytest.fixture
def tiny_model() -> dict:
    """Config of a segmentor of four categories with ResNet-18 of 8 channels at stride 8."""
    norm_cfg = dict(type='BN', requires_grad=True)
    head = dict(
        in_channels=64, in_index=3, channels=16, num_convs=1, dropout_ratio=0, norm_cfg=norm_cfg)
    return dict(
        type='InstBoxSegmentor',
        data_preprocessor=dict(
            type='InstBoxDataPreProcessor',
            mean=[123.675, 116.28, 103.53],
            std=[58.395, 57.12, 57.375],
            bgr_to_rgb=True,
            size_divisor=32),
        backbone=dict(
            type='FCRNResNet', depth=18, stem_channels=8, base_channels=8, norm_cfg=norm_cfg),
        decode_head=dict(
            type='FCRNHead',
            classifier_dilation=2,
            num_classes=1 + THINGS,
            sampler=dict(type='BootstrapPixelSampler', min_kept=16),
            **head),
        box_head=dict(
            type='PixelBoxHead',
            sampler=dict(type='BootstrapPixelSampler', min_kept=0.5),
            coder=dict(type='PixelBoxCoder', scale=32),
            **head),
        test_cfg=dict(mode='whole'))
