"""AP^r of real objects, by another route: pycocotools' overlaps and the loops of VOC's kit."""
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from metric_samples import evaluate
from mmengine.structures import InstanceData
from pycocotools import mask as mask_api

from mmseg_instbox.datasets import VOCInstDataset

DATA = Path(os.environ.get('INSTBOX_DATA', Path(__file__).parents[4] / 'shared' / 'data'))
ROOT = DATA / 'voc_mini' / 'VOCdevkit' / 'VOC2012'
PIPELINE = [dict(type=name) for name in ('LoadInstImage', 'LoadInstAnnotations', 'PackInstInputs')]
pytestmark = pytest.mark.skipif(
    not ROOT.is_dir(), reason='the photographs are not there; set INSTBOX_DATA')


def disturb(sample, random):
    """Predictions from the true objects: grown, shrunk, cut, merged, twice, of a wrong category."""
    inst_map = sample.gt_inst_map.data[0].numpy()
    masks, labels = [inst_map == 255], [random.integers(20)]
    regions = [inst_map == index for index in sample.gt_instances.ids.tolist()]
    for place, label in enumerate(sample.gt_instances.labels.tolist()):
        for change in random.choice(['grow', 'shrink', 'cut', 'merge', 'same'], 2):
            masks.append(_change(change, regions, place, random))
            labels.append(label if random.random() < 0.8 else random.integers(20))
    sample.pred_instances = InstanceData(
        masks=torch.from_numpy(np.array(masks)), labels=torch.tensor(labels),
        scores=torch.from_numpy(random.integers(1, 9, len(masks)) / 8))


def _change(change, regions, place, random):
    mask, size = regions[place], random.integers(2, 15)
    if change == 'merge':
        return mask | regions[random.integers(len(regions))]
    if change == 'cut':
        columns = mask.any(0).nonzero()[0]
        return mask & (np.arange(mask.shape[1]) < random.choice(columns) + 5)
    work = dict(grow=cv2.dilate, shrink=cv2.erode).get(change, lambda image, _: image)
    return work(mask.astype(np.uint8), np.ones((size, size), np.uint8)).astype(bool)


def encode(masks):
    return mask_api.encode(np.asfortranarray(masks.transpose(1, 2, 0), dtype=np.uint8))


def average_precision(samples, label, threshold):
    """AP of a category as VOC's and the SDS kit loop over the detections; None without objects."""
    detections, overlaps, free = [], {}, {}
    for image, sample in enumerate(samples):
        inst_map, mine = sample.gt_inst_map.data[0].numpy(), sample.gt_instances.labels == label
        ids = sample.gt_instances.ids[mine].numpy()
        found, void = sample.pred_instances, inst_map == 255
        masks = found.masks.numpy()
        in_void_only = masks.any((1, 2)) & ~(masks & ~void).any((1, 2))
        chosen = (found.labels == label).numpy() & ~in_void_only
        regions = encode(masks[chosen] & ~void) if chosen.any() else []
        objects = encode(inst_map == ids[:, None, None]) if len(ids) else []
        overlaps[image] = mask_api.iou(regions, objects, [0] * len(ids))
        free[image] = [True] * len(ids)
        detections += [(score, image, k) for k, score in enumerate(found.scores[chosen].tolist())]
    total = sum(map(len, free.values()))
    if total == 0:
        return None
    true = []
    for _, image, k in sorted(detections, key=lambda each: -each[0]):
        best, place = threshold, None
        for g, is_free in enumerate(free[image]):
            if is_free and overlaps[image][k][g] > best:
                best, place = overlaps[image][k][g], g
        if place is not None:
            free[image][place] = False
        true.append(place is not None)
    return envelope_area(np.cumsum(true) / total, np.cumsum(true) / np.arange(1, len(true) + 1))


def envelope_area(recall, precision):
    """``VOCap.m``."""
    recall, precision = np.r_[0, recall, 1], np.r_[0, precision, 0]
    for i in range(len(precision) - 2, -1, -1):
        precision[i] = max(precision[i], precision[i + 1])
    steps = np.flatnonzero(recall[1:] != recall[:-1]) + 1
    return float(np.sum((recall[steps] - recall[steps - 1]) * precision[steps]))


@pytest.mark.parametrize('name', ['val', 'val_coco'])
def test_agrees_with_another_implementation(name):
    data = VOCInstDataset(
        data_root=str(ROOT), ann_file=f'ImageSets/Segmentation/{name}.txt', pipeline=PIPELINE,
        test_mode=True)
    samples = [data[index]['data_samples'] for index in range(10)]
    random = np.random.default_rng(0)
    for sample in samples:
        disturb(sample, random)
    expected = {}
    for tenths in range(1, 10):
        values = [average_precision(samples, label, tenths / 10) for label in range(20)]
        expected[tenths] = np.mean([value for value in values if value is not None])
    for sample in samples:
        sample.pred_sem_seg = sample.gt_sem_seg.new(data=sample.gt_sem_seg.data % 255)
    figures = evaluate(samples, meta=data.metainfo)
    assert 0.1 < expected[9] < expected[5] < 0.9
    for tenths in range(5, 10):
        assert figures[f'APr_0.{tenths}'] == pytest.approx(expected[tenths], abs=1e-12)
    assert figures['APr_vol'] == pytest.approx(np.mean(list(expected.values())), abs=1e-12)
