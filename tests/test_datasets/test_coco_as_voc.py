from pathlib import Path

import numpy as np
import pytest
from coco_pictures import COCO_TINY, DATA, PIPELINE, annotation, content, rectangle, write
from PIL import Image

from mmseg_instbox.datasets import CocoAsVOCInstDataset, CocoInstDataset, VOCInstDataset
from mmseg_instbox.datasets.coco_names import COCO_THINGS, COCO_TO_VOC

VOC = DATA / 'voc_mini' / 'VOCdevkit' / 'VOC2012'


@pytest.fixture
def root(tmp_path):
    """A couch, a tv and a fork, and all names of COCO."""
    table = content()
    names = dict(enumerate(COCO_THINGS, 1))
    table['categories'] = [dict(id=number, name=name) for number, name in names.items()]
    numbers = {name: number for number, name in names.items()}
    table['annotations'] = [
        annotation(i, 11, numbers[name], [rectangle(15 * i, 5, 15 * i + 10, 15)])
        for i, name in enumerate(('couch', 'tv', 'fork'))]
    return write(tmp_path, table)


def build(root, **options):
    return CocoAsVOCInstDataset(
        'annotations/instances.json', data_root=str(root), pipeline=PIPELINE,
        data_prefix=dict(img_path='images'), **options)


def test_names_of_coco_go_to_names_of_voc():
    assert set(COCO_TO_VOC) <= set(COCO_THINGS)
    assert sorted(COCO_TO_VOC.values()) == sorted(VOCInstDataset.METAINFO['thing_classes'])


def test_categories_are_those_of_voc_and_the_rest_is_background(root):
    dataset = build(root)
    assert dataset.metainfo['classes'] == VOCInstDataset.METAINFO['classes']
    sample = dataset[0]['data_samples']
    classes = [dataset.metainfo['thing_classes'][i] for i in sample.gt_instances.labels]
    assert classes == ['sofa', 'tvmonitor']
    assert (sample.gt_sem_seg.data[0, 5:15, 30:40] == 0).all()
    assert len(dataset.metainfo['category_ids']) == 20


def test_fewer_categories_of_voc_may_be_chosen(root):
    sample = build(root, metainfo=dict(classes=('background', 'sofa')))[0]['data_samples']
    assert sample.gt_instances.labels.tolist() == [0]


def test_both_data_sets_read_the_same_file(root):
    coco = CocoInstDataset('annotations/instances.json', data_root=str(root), pipeline=PIPELINE,
                           data_prefix=dict(img_path='images'))
    assert len(coco[0]['data_samples'].gt_instances) == 3


@pytest.mark.skipif(not (COCO_TINY.is_dir() and VOC.is_dir()),
                    reason='the photographs are not there; set INSTBOX_DATA')
def test_maps_are_those_that_were_made_from_coco_another_way():
    """Some photographs are also there in VOC's layout, with crowds that kept their category."""
    dataset = CocoAsVOCInstDataset(
        'annotations/instances_val2017.json', data_root=str(COCO_TINY), pipeline=PIPELINE,
        data_prefix=dict(img_path='val2017'))
    compared = 0
    for index in range(len(dataset)):
        sample = dataset[index]['data_samples']
        name = f'{Path(sample.img_path).stem}.png'
        if not (VOC / 'SegmentationClass' / name).exists():
            continue
        compared += 1
        seg_map, inst_map = (np.array(Image.open(VOC / folder / name)).astype(int)
                             for folder in ('SegmentationClass', 'SegmentationObject'))
        seg_map[inst_map == 255] = 255
        assert np.array_equal(sample.gt_sem_seg.data[0], seg_map)
        pairs = np.unique(inst_map * 1000 + sample.gt_inst_map.data[0].numpy())
        assert len(pairs) == len(np.unique(inst_map)) == len(np.unique(pairs % 1000))
    assert compared > 40
