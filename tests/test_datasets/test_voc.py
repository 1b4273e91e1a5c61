import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmseg_instbox.datasets import VOCInstDataset

DATA = Path(os.environ.get('INSTBOX_DATA', Path(__file__).parents[3] / 'shared' / 'data'))
ROOT = DATA / 'voc_mini' / 'VOCdevkit' / 'VOC2012'
LOADING = [dict(type='LoadInstImage'), dict(type='LoadInstAnnotations')]

needs_photographs = pytest.mark.skipif(
    not ROOT.is_dir(), reason='the photographs are not there; set INSTBOX_DATA')


def photographs(split, *transforms):
    return VOCInstDataset(
        data_root=str(ROOT), ann_file=f'ImageSets/Segmentation/{split}.txt',
        pipeline=[*LOADING, *transforms, dict(type='PackInstInputs')])


def test_the_categories_are_those_of_voc(tiny_voc):
    dataset = VOCInstDataset(data_root=str(tiny_voc), ann_file='ImageSets/Segmentation/val.txt')
    assert len(dataset.metainfo['classes']) == len(dataset.metainfo['palette']) == 21
    assert dataset.thing_ids == list(range(1, 21))
    assert dataset.metainfo['classes'][15] == dataset.metainfo['thing_classes'][14] == 'person'


@needs_photographs
@pytest.mark.parametrize('split, count', [('val', 150), ('val_coco', 60)])
def test_all_photographs_load_with_their_objects(split, count):
    dataset = photographs(split)
    assert len(dataset) == count
    for index in range(count):
        data = dataset[index]
        sample = data['data_samples']
        stored = np.array(Image.open(sample.inst_map_path))
        expected = sorted(set(np.unique(stored).tolist()) - {0, 255})
        assert sample.gt_instances.ids.tolist() == expected
        assert data['inputs'].shape[1:] == sample.gt_inst_map.data.shape[1:] == stored.shape


@needs_photographs
def test_boxes_flip_with_the_photographs():
    flip = dict(type='RandomFlip', prob=1.0, direction='horizontal')
    plain, flipped = photographs('val_coco'), photographs('val_coco', flip)
    for index in range(20):
        before, after = plain[index], flipped[index]
        assert torch.equal(before['inputs'].flip(-1), after['inputs'])
        one, two = (data['data_samples'].gt_instances for data in (before, after))
        x1, y1, x2, y2 = one.bboxes.unbind(1)
        width = before['inputs'].shape[-1]
        assert torch.equal(two.bboxes, torch.stack([width - x2, y1, width - x1, y2], 1))
        assert torch.equal(one.labels, two.labels)


@needs_photographs
def test_maps_stay_with_the_photograph_through_training_transforms():
    dataset = photographs(
        'val_coco', dict(type='RandomResize', scale=(416, 416), ratio_range=(0.7, 1.35),
                         keep_ratio=True),
        dict(type='RandomCrop', crop_size=(352, 352)), dict(type='RandomFlip', prob=0.5),
        dict(type='PhotoMetricDistortion'))
    np.random.seed(0)
    for index in range(20):
        data = dataset[index]
        sample = data['data_samples']
        inst_map, seg_map = sample.gt_inst_map.data[0], sample.gt_sem_seg.data[0]
        assert inst_map.shape == seg_map.shape == data['inputs'].shape[1:]
        for number, label, box in zip(*(sample.gt_instances.get(key) for key in (
                'ids', 'labels', 'bboxes')), strict=True):
            mask = inst_map == number
            assert (seg_map[mask] == label + 1).all()
            rows, columns = mask.nonzero().unbind(1)
            assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
