"""What all tests share: one thread for OpenCV, mmseg's scope, and a tiny data set."""
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS
from PIL import Image

from mmseg_instbox.engine import load_config
from mmseg_instbox.evaluation.oracle import true_boxes, true_category_probs
from mmseg_instbox.evaluation.prediction_dump import image_file, write_image, write_index

REPO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO / 'tests'))  # makes programs importable

from programs import FreshProcesses, quicken  # noqa: E402

LONG = ('test_fuzz', 'test_reliability', 'test_docs', 'test_tools', 'test_jobs', 'test_web',
        'test_engine')  # folders of the longest files
TINY_CLASSES = ('background', 'square', 'disc')


def pytest_configure() -> None:
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files come first, so that no process is left with one of them at the end."""
    items.sort(key=lambda item: item.path.parent.name not in LONG)


def pytest_collection_finish() -> None:
    quicken()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One process more than cores, since tests also wait, but not more than memory may hold."""
    return min(os.cpu_count() + 1, 8)


@pytest.fixture(autouse=True)
def mmseg_scope() -> None:
    """Transforms and modules are looked up in mmseg's registries, as in a run."""
    init_default_scope('mmseg')


@pytest.fixture
def on_meta(monkeypatch) -> torch.device:
    """Builds a model without numbers, but for those that backbones read while they are built."""
    linspace = torch.linspace
    monkeypatch.setattr(torch, 'linspace', lambda *args: linspace(*args, device='cpu'))
    return torch.device('meta')


@pytest.fixture(scope='session')
def repo() -> Path:
    """The root of the repository."""
    return REPO


@pytest.fixture(scope='session')
def run_fresh(repo, tmp_path_factory) -> Iterator[Callable[..., subprocess.CompletedProcess]]:
    """A function that runs code in a process that has not imported OpenMMLab or this package."""
    processes = FreshProcesses(repo, tmp_path_factory.mktemp('fresh'))
    yield processes.run
    processes.process.stdin.close()
    processes.process.wait()


@pytest.fixture(scope='session')
def tiny_voc(tmp_path_factory) -> Path:
    """Eight pictures of 64 x 64 pixels in VOC's layout: two red squares that touch, a blue disc.

    The lists are ``train`` and ``val``, four names each; the categories are ``TINY_CLASSES``.
    """
    root = tmp_path_factory.mktemp('tiny_voc')
    names = [f'{i:03d}' for i in range(8)]
    for name in names:
        _write_sample(root, name, np.random.default_rng(int(name)))
    lists = root / 'ImageSets' / 'Segmentation'
    lists.mkdir(parents=True)
    (lists / 'train.txt').write_text('\n'.join(names[:4]) + '\n')
    (lists / 'val.txt').write_text('\n'.join(names[4:]) + '\n')
    return root


def _write_sample(root: Path, name: str, rng: np.random.Generator) -> None:
    """One picture with its two masks."""
    image = rng.integers(90, 120, (64, 64, 3), dtype=np.uint8)
    categories, instances = np.zeros((2, 64, 64), np.uint8)
    x, y, side = rng.integers(2, 10, 2).tolist() + [int(rng.integers(14, 22))]
    for index, left in ((1, x), (2, x + side)):
        image[y:y + side, left:left + side] = (200 + 20 * index, 40, 40)
        categories[y:y + side, left:left + side] = 1
        instances[y:y + side, left:left + side] = index
    disc = np.hypot(*(np.mgrid[:64, :64] - np.array([48, x + 20])[:, None, None])) < 10
    image[disc], categories[disc], instances[disc] = (40, 40, 220), 2, 3
    for folder, picture, suffix in (('JPEGImages', image, 'jpg'),
                                    ('SegmentationClass', categories, 'png'),
                                    ('SegmentationObject', instances, 'png')):
        (root / folder).mkdir(exist_ok=True)
        Image.fromarray(picture).save(root / folder / f'{name}.{suffix}')


TINY_CONFIG = """
_base_ = [
    '{repo}/configs/_base_/models/instbox_fcrn-r18-d8_narrow.py',
    '{repo}/configs/_base_/schedules/schedule_adamw-poly_2k.py',
    '{repo}/configs/_base_/default_runtime.py'
]
norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    backbone=dict(norm_cfg=norm_cfg),
    decode_head=dict(num_classes=3, norm_cfg=norm_cfg),
    box_head=dict(norm_cfg=norm_cfg))
test_pipeline = [
    dict(type='LoadInstImage'),
    dict(type='LoadInstAnnotations'),
    dict(type='PackInstInputs')
]
dataset = dict(
    type='InstBoxDataset',
    data_root='{data}',
    metainfo=dict(classes={classes}),
    pipeline=test_pipeline)
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(ann_file='ImageSets/Segmentation/train.txt', **dataset))
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(ann_file='ImageSets/Segmentation/val.txt', **dataset))
test_dataloader = val_dataloader
val_evaluator = dict(type='InstBoxMetric')
test_evaluator = val_evaluator
train_cfg = dict(max_iters=2, val_interval=2)
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=2))
"""


@pytest.fixture(scope='session')
def tiny_config(tmp_path_factory, tiny_voc) -> Path:
    """A config that trains a narrow network for two iterations on ``tiny_voc``."""
    file = tmp_path_factory.mktemp('config') / 'tiny.py'
    file.write_text(TINY_CONFIG.format(repo=REPO, data=tiny_voc, classes=TINY_CLASSES))
    return file


@pytest.fixture(scope='session')
def tiny_dump(tmp_path_factory, tiny_config) -> Path:
    """A dump for ``tiny_config``: categories and boxes at stride 4, the truth with some noise."""
    init_default_scope('mmseg')
    folder = tmp_path_factory.mktemp('dump')
    dataset = DATASETS.build(load_config(str(tiny_config)).test_dataloader.dataset)
    random, paths = torch.Generator().manual_seed(0), []
    for sample in (each['data_samples'] for each in dataset):
        probs = true_category_probs(sample.gt_sem_seg.data[0], (16, 16), (64, 64), 3)
        probs = (4 * probs + torch.randn(probs.shape, generator=random)).softmax(0)
        boxes = true_boxes(sample.gt_inst_map.data[0], sample.gt_instances, (16, 16), (64, 64))
        elsewhere = torch.tensor([20., 20, 44, 44])[:, None, None]
        boxes = torch.where(boxes.isnan(), elsewhere, boxes)
        boxes = boxes + 3 * torch.randn(boxes.shape, generator=random)
        write_image(folder / image_file(sample.img_path), probs, boxes, (64, 64))
        paths.append(sample.img_path)
    write_index(folder, paths, config='tiny.py', checkpoint='tiny.pth',
                classes=TINY_CLASSES, thing_classes=TINY_CLASSES[1:])
    return folder
