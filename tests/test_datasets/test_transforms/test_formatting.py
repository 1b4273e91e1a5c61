import numpy as np
import pytest
import torch
from mmcv.transforms import CenterCrop, Pad
from mmengine.dataset import Compose
from mmseg.datasets.transforms import PackSegInputs
from mmseg.structures import SegDataSample

from mmseg_instbox.datasets.transforms import PackInstInputs


def test_everything_has_the_shape_and_type_of_the_contract(loaded):
    packed = PackInstInputs()(loaded)
    sample = packed['data_samples']
    assert type(sample) is SegDataSample
    assert packed['inputs'].shape == (3, 12, 16)
    assert sample.gt_sem_seg.data.shape == sample.gt_inst_map.data.shape == (1, 12, 16)
    assert sample.gt_sem_seg.data.dtype == torch.int64
    assert sample.gt_inst_map.data.dtype == torch.int32
    objects = sample.gt_instances
    assert objects.ids.tolist() == [1, 300] and objects.ids.dtype == torch.int64
    assert objects.labels.tolist() == [0, 1] and objects.labels.dtype == torch.int64
    assert objects.bboxes.tolist() == [[3, 3, 8, 6], [9, 4, 14, 11]]
    assert objects.bboxes.dtype == torch.float32
    assert sample.metainfo['ori_shape'] == (12, 16) and sample.metainfo['img_path'] == 'a.jpg'


def test_image_and_categories_are_packed_as_by_the_parent(loaded):
    ours, theirs = PackInstInputs()(loaded), PackSegInputs()(loaded)
    assert torch.equal(ours['inputs'], theirs['inputs'])
    assert torch.equal(ours['data_samples'].gt_sem_seg.data, theirs['data_samples'].gt_sem_seg.data)


def test_an_image_without_objects_has_no_instances(loaded):
    loaded['gt_seg_map'][:], loaded['gt_inst_map'][:] = 0, 0
    objects = PackInstInputs()(loaded)['data_samples'].gt_instances
    assert len(objects) == 0 and objects.bboxes.shape == (0, 4)


@pytest.mark.parametrize('direction', ['horizontal', 'vertical', 'diagonal'])
def test_boxes_flip_with_the_image(loaded, direction):
    before = PackInstInputs()(dict(loaded))['data_samples'].gt_instances
    flip = Compose([dict(type='RandomFlip', prob=1.0, direction=direction)])
    after = PackInstInputs()(flip(loaded))['data_samples'].gt_instances
    x1, y1, x2, y2 = before.bboxes.unbind(1)
    if direction != 'vertical':
        x1, x2 = 16 - x2, 16 - x1
    if direction != 'horizontal':
        y1, y2 = 12 - y2, 12 - y1
    assert torch.equal(after.bboxes, torch.stack([x1, y1, x2, y2], 1))
    assert torch.equal(after.ids, before.ids) and torch.equal(after.labels, before.labels)


def test_boxes_are_those_of_what_a_crop_leaves(loaded):
    np.random.seed(0)
    crop = Compose([dict(type='RandomCrop', crop_size=(6, 7))])
    for _ in range(20):
        results = crop(dict(loaded))
        objects = PackInstInputs()(results)['data_samples'].gt_instances
        for number, box in zip(objects.ids.tolist(), objects.bboxes.int().tolist(), strict=True):
            rows, columns = np.nonzero(results['gt_inst_map'] == number)
            assert box == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert set(objects.ids.tolist()) == set(np.unique(results['gt_inst_map'])) - {0, 255}


@pytest.mark.parametrize('transform', [
    dict(type='RandomResize', scale=(16, 12), ratio_range=(0.5, 3.0), keep_ratio=True),
    dict(type='RandomResize', scale=(23, 31), ratio_range=(1.0, 1.0)),
    dict(type='ResizeShortestEdge', scale=30, max_size=60),
    dict(type='ResizeToMultiple', size_divisor=7),
    dict(type='RandomRotate', prob=1.0, degree=30),
    dict(type='RandomCutOut', prob=1.0, n_holes=3, cutout_shape=(3, 3), seg_fill_in=255),
])
def test_transforms_that_are_allowed_keep_maps_together(loaded, transform):
    """Each object keeps its category, and no id appears that was not there."""
    np.random.seed(0)
    results = Compose([transform])(loaded)
    seg_map, inst_map = results['gt_seg_map'], results['gt_inst_map']
    assert seg_map.shape == inst_map.shape == results['img'].shape[:2]
    assert set(zip(inst_map.ravel().tolist(), seg_map.ravel().tolist(), strict=True)) <= {
        (0, 0), (1, 1), (300, 3), (255, 255)}
    assert PackInstInputs()(results)['data_samples'].gt_instances.labels.tolist() == [0, 1]


def test_only_the_image_is_packed_when_there_is_nothing_else():
    packed = PackInstInputs()(dict(img=np.zeros((4, 6, 3), np.uint8), img_path=None))
    assert packed['inputs'].shape == (3, 4, 6) and packed['data_samples'].keys() == []


@pytest.mark.parametrize('transform', [Pad(size=(20, 20)), CenterCrop(crop_size=8)])
def test_a_transform_that_forgot_a_map_is_found_out(loaded, transform):
    with pytest.raises(ValueError, match=r'a\.jpg: at packing gt_inst_map is \(12, 16\)'):
        PackInstInputs()(transform(loaded))


def test_maps_loaded_after_resizing_have_the_original_size(loaded):
    resized = dict(loaded, img=np.zeros((24, 32, 3), np.uint8), img_shape=(24, 32))
    with pytest.raises(ValueError, match='the image is'):
        PackInstInputs()(dict(resized))
    packed = PackInstInputs()(dict(resized, gt_at_ori_shape=True))
    assert packed['inputs'].shape == (3, 24, 32)
    assert packed['data_samples'].gt_inst_map.data.shape == (1, 12, 16)
    cropped = dict(resized, gt_at_ori_shape=True, gt_inst_map=resized['gt_inst_map'][1:])
    with pytest.raises(ValueError, match='the original image is'):
        PackInstInputs()(cropped)


@pytest.mark.parametrize('missing', ['gt_seg_map', 'gt_inst_map', 'thing_ids'])
def test_half_of_the_annotations_is_an_error(loaded, missing):
    del loaded[missing]
    with pytest.raises(ValueError, match=rf"a\.jpg: .*\['{missing}'\].*LoadInstAnnotations"):
        PackInstInputs()(loaded)


def test_maps_that_were_spoilt_on_the_way_are_an_error(loaded):
    loaded['gt_inst_map'][4:11, 9:14] = 1
    with pytest.raises(ValueError, match=r'a\.jpg: .*disagree .*object 1 covers'):
        PackInstInputs()(loaded)


def test_a_mosaic_is_an_error(loaded):
    mosaic = Compose([dict(type='RandomMosaic', prob=1.0, img_scale=(12, 16))])
    others = [{key: loaded[key] for key in ('img', 'gt_seg_map', 'gt_inst_map')} for _ in range(3)]
    with pytest.raises(ValueError, match='RandomMosaic'):
        PackInstInputs()(mosaic(dict(loaded, mix_results=others)))
