import mmseg.datasets.transforms as mmseg_transforms
import numpy as np
import pytest
from mmcv.transforms import Pad
from mmengine.dataset import Compose
from mmseg.registry import DATASETS, TRANSFORMS

from mmseg_instbox.datasets.instance_maps import object_boxes
from mmseg_instbox.datasets.transforms import (
    FullBoxRandomCrop,
    InstCenterCrop,
    InstPad,
    PackInstInputs,
    Resize,
)
from mmseg_instbox.datasets.transforms.pipeline_check import check_pipeline

LOADING = [dict(type='LoadInstImage'), dict(type='LoadInstAnnotations')]
# the objects of `loaded`: id 1 without its void row, id 300
FULL = {1: [3, 3, 8, 6], 300: [9, 4, 14, 11]}


def offset(results: dict) -> tuple[int, int]:
    """x and y of the crop, which the picture of `loaded` shows."""
    y, x, _ = results['img'][0, 0].tolist()
    return x, y


@pytest.mark.parametrize('seed', range(6))
def test_boxes_are_those_of_the_whole_objects_in_pixels_of_the_crop(loaded, seed):
    np.random.seed(seed)
    results = FullBoxRandomCrop(crop_size=(5, 7))(loaded)
    x, y = offset(results)
    objects = PackInstInputs()(results)['data_samples'].gt_instances
    assert results['img'].shape == (5, 7, 3) and len(objects) > 0
    for index, box in zip(objects.ids.tolist(), objects.bboxes.tolist(), strict=True):
        x1, y1, x2, y2 = FULL[index]
        assert box == [x1 - x, y1 - y, x2 - x, y2 - y]


def test_only_objects_that_the_crop_shows_are_packed(loaded):
    seen = set()
    for seed in range(20):
        np.random.seed(seed)
        results = FullBoxRandomCrop(crop_size=(4, 4))(
            loaded | dict(seg_fields=list(loaded['seg_fields'])))
        ids = PackInstInputs()(results)['data_samples'].gt_instances.ids.tolist()
        assert ids == object_boxes(results['gt_inst_map'])[0].tolist()
        seen.add(tuple(ids))
    assert (1, ) in seen and (300, ) in seen


def test_cropping_twice_keeps_the_first_boxes(loaded):
    np.random.seed(1)
    results = FullBoxRandomCrop(crop_size=(4, 6))(FullBoxRandomCrop(crop_size=(9, 13))(loaded))
    x, y = offset(results)
    ids, boxes = results['gt_full_boxes']
    assert {i: (box + [x, y, x, y]).tolist() for i, box in zip(ids.tolist(), boxes, strict=True)
            } == FULL


def test_padding_at_the_right_and_bottom_moves_no_box(loaded):
    np.random.seed(0)
    results = FullBoxRandomCrop(crop_size=(5, 7))(loaded)
    before = PackInstInputs()(results)['data_samples'].gt_instances.bboxes
    padded = PackInstInputs()(InstPad(size=(20, 20))(results))['data_samples']
    assert padded.gt_inst_map.shape == (20, 20)
    assert np.array_equal(padded.gt_instances.bboxes, before)


def test_without_a_crop_boxes_are_the_visible_ones(loaded):
    results = FullBoxRandomCrop(crop_size=(50, 50))(loaded)
    objects = PackInstInputs()(results)['data_samples'].gt_instances
    assert objects.bboxes.tolist() == list(FULL.values())


def test_an_image_without_annotations_is_cropped(loaded):
    results = FullBoxRandomCrop(crop_size=4)(dict(img=loaded['img'], img_path='a.jpg'))
    assert results['img'].shape == (4, 4, 3) and 'gt_full_boxes' not in results


def test_objects_that_were_moved_afterwards_are_an_error_that_names_the_image(loaded):
    np.random.seed(2)
    results = FullBoxRandomCrop(crop_size=(12, 16))(loaded)
    for key in results['seg_fields']:
        results[key] = np.ascontiguousarray(results[key][:, ::-1])
    with pytest.raises(ValueError, match='a.jpg.*FullBoxRandomCrop'):
        PackInstInputs()(results)


@pytest.mark.parametrize('moving', [
    dict(type='Resize', scale=(4, 4)),
    dict(type='RandomResize', scale=(4, 4), ratio_range=(0.5, 2.0)),
    dict(type='RandomChoiceResize', scales=[(4, 4), (8, 8)]),
    dict(type='ResizeToMultiple'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomCrop', crop_size=(4, 4)),
    dict(type='InstCenterCrop', crop_size=4),
    dict(type='RandomApply', transforms=[dict(type='RandomFlip', prob=1.0)]),
])
def test_what_moves_pixels_comes_before_the_crop(moving):
    crop = dict(type='FullBoxRandomCrop', crop_size=(4, 4))
    check_pipeline(Compose([*LOADING, moving, crop, dict(type='PackInstInputs')]))
    with pytest.raises(ValueError, match='cannot come after FullBoxRandomCrop'):
        check_pipeline(Compose([*LOADING, crop, moving, dict(type='PackInstInputs')]))


def test_rotation_is_refused_and_what_moves_nothing_is_not():
    crop, rotate = (dict(type='FullBoxRandomCrop', crop_size=(4, 4)),
                    dict(type='RandomRotate', prob=0.5, degree=10))
    for order in ([crop, rotate], [rotate, crop]):
        with pytest.raises(ValueError, match='RandomRotate'):
            check_pipeline(Compose([*LOADING, *order]))
    check_pipeline(Compose([*LOADING, crop, crop, dict(type='PhotoMetricDistortion'),
                            dict(type='InstPad', size=(8, 8))]))


def test_a_data_set_gives_full_boxes(tiny_voc):
    """What is visible of an object lies in its box; where the crop cuts it, the box is larger."""
    pipeline = [*LOADING, dict(type='RandomResize', scale=(96, 96), ratio_range=(0.8, 1.5)),
                dict(type='RandomFlip', prob=0.5),
                dict(type='FullBoxRandomCrop', crop_size=(40, 40)),
                dict(type='PackInstInputs')]
    dataset = DATASETS.build(dict(
        type='InstBoxDataset', data_root=str(tiny_voc), pipeline=pipeline,
        metainfo=dict(classes=('background', 'square', 'disc'))))
    larger = 0
    for sample in (dataset[i % len(dataset)]['data_samples'] for i in range(24)):
        _, visible = object_boxes(sample.gt_inst_map.data[0].numpy())
        boxes = sample.gt_instances.bboxes.numpy()
        assert (boxes[:, :2] <= visible[:, :2]).all() and (boxes[:, 2:] >= visible[:, 2:]).all()
        larger += (boxes != visible).any(axis=1).sum()
    assert larger > 5


def test_image_and_maps_are_cut_at_the_same_place(loaded):
    before = {key: loaded[key].copy() for key in loaded['seg_fields']}
    results = InstCenterCrop(crop_size=(8, 6))(loaded)
    rows, columns = results['img'][..., 0], results['img'][..., 1]
    assert results['img'].shape == (6, 8, 3) and results['img_shape'] == (6, 8)
    assert rows[0, 0] == 3 and columns[0, 0] == 4
    for key, old in before.items():
        assert np.array_equal(results[key], old[rows, columns])
        assert results[key].dtype == old.dtype


def test_a_smaller_image_is_padded_with_void_when_asked(loaded):
    results = InstCenterCrop(crop_size=20, auto_pad=True)(loaded)
    for key in ('img', 'gt_seg_map', 'gt_inst_map'):
        assert results[key].shape[:2] == (20, 20)
    for key in results['seg_fields']:
        assert (results[key][12:] == 255).all() and (results[key][:, 16:] == 255).all()


def test_a_smaller_image_stays_small_otherwise(loaded):
    results = InstCenterCrop(crop_size=(20, 4))(loaded)
    assert results['gt_inst_map'].shape == results['img'].shape[:2] == (4, 16)


def test_only_inst_pad_may_pad():
    with pytest.raises(ValueError, match='InstPad'):
        InstCenterCrop(crop_size=4, auto_pad=True, pad_cfg=dict(type='Pad'))


@pytest.mark.parametrize('options, shape', [
    (dict(size=(24, 20)), (20, 24)),
    (dict(size_divisor=5), (15, 20)),
    (dict(pad_to_square=True), (16, 16)),
    (dict(size=(18, 13), padding_mode='reflect'), (13, 18)),
])
def test_image_and_maps_grow_alike_and_the_maps_with_void(loaded, options, shape):
    before = {key: loaded[key].copy() for key in loaded['seg_fields']}
    image = Pad(**options)(dict(img=loaded['img']))['img']
    results = InstPad(**options)(loaded)
    assert np.array_equal(results['img'], image) and results['img_shape'] == shape
    for key, old in before.items():
        assert results[key].shape == shape and results[key].dtype == old.dtype
        assert np.array_equal(results[key][:12, :16], old)
        outside = np.ones(shape, bool)
        outside[:12, :16] = False
        assert (results[key][outside] == 255).all() and outside.any()


def test_maps_are_padded_with_void_only():
    InstPad(size=(4, 4), pad_val=7)
    with pytest.raises(ValueError, match='void'):
        InstPad(size=(4, 4), pad_val=dict(img=0, seg=0))


def test_an_image_without_maps_is_padded():
    results = InstPad(size=(6, 6))(dict(img=np.ones((4, 4, 3), np.uint8)))
    assert results['img'].shape == (6, 6, 3)


def thin(height, width):
    return dict(img=np.full((height, width, 3), 7, np.uint8), gt_seg_map=np.ones((height, width)),
                gt_inst_map=np.full((height, width), 3, np.int32),
                seg_fields=['gt_seg_map', 'gt_inst_map'])


@pytest.mark.parametrize('config', [
    dict(type='Resize', scale=(416, 416), keep_ratio=True),
    dict(type='Resize', scale_factor=0.1, keep_ratio=True),
    dict(type='Resize', scale_factor=0.1),
    dict(type='RandomResize', scale=(96, 96), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomChoiceResize', scales=[(96, 96)], keep_ratio=True),
    dict(type='ResizeShortestEdge', scale=96, max_size=416)])
@pytest.mark.parametrize('shape', [(3000, 2), (2, 3000), (1, 5000)])
def test_every_image_keeps_a_pixel(config, shape):
    found = TRANSFORMS.build(config)(thin(*shape))
    assert min(found['img'].shape[:2]) == 1 < max(found['img'].shape[:2]) <= 500
    assert found['img_shape'] == found['img'].shape[:2]
    assert (found['img'] == 7).all() and (found['gt_seg_map'] == 1).all()
    assert found['gt_inst_map'].shape == found['img'].shape[:2]
    assert (found['gt_inst_map'] == 3).all()


@pytest.mark.parametrize('arguments', [
    dict(scale=(50, 40), keep_ratio=True), dict(scale=(50, 40)), dict(scale_factor=0.3),
    dict(scale_factor=0.3, keep_ratio=True)])
def test_other_images_are_resized_as_by_mmseg(arguments):
    image = np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8)
    found, expected = (kind(**arguments)(dict(img=image.copy())) for kind in (
        Resize, mmseg_transforms.Resize))
    assert found.keys() == expected.keys()
    assert np.array_equal(found['img'], expected['img'])
    assert found['scale_factor'] == expected['scale_factor']
