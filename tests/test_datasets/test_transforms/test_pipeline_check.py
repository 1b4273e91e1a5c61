import mmcv.transforms as mmcv_transforms
import mmseg.datasets.transforms as mmseg_transforms
import numpy as np
import pytest
from mmengine.dataset import Compose

from mmseg_instbox.datasets.transforms.pipeline_check import REFUSED, check_pipeline

LOADING = [dict(type='LoadInstImage'), dict(type='LoadInstAnnotations')]


@pytest.mark.parametrize('transform, replacement', [
    (dict(type='LoadImageFromFile'), 'LoadInstImage'),
    (dict(type='LoadAnnotations'), 'LoadInstAnnotations'),
    (dict(type='PackSegInputs'), 'PackInstInputs'),
    (dict(type='Pad', size=(4, 4)), 'InstPad'),
    (dict(type='CenterCrop', crop_size=4), 'InstCenterCrop'),
    (dict(type='RandomRotFlip'), 'RandomRotate'),
    (dict(type='RandomMosaic', prob=0.5), 'leave it out'),
    (dict(type='Resize', scale=(4, 4), backend='pillow'), "backend='cv2'"),
    (dict(type='RandomResize', scale=(4, 4), ratio_range=(1., 2.), backend='pillow'),
     "backend='cv2'"),
    (dict(type='RandomCutOut', prob=1, n_holes=1, cutout_shape=(2, 2), seg_fill_in=3),
     'seg_fill_in=255'),
    (dict(type='RandomRotate', prob=1, degree=3, seg_pad_val=3), 'seg_pad_val=255'),
    (dict(type='RandomFlip', prob=1.0, swap_seg_labels=[(1, 2)]), 'swap_seg_labels'),
])
@pytest.mark.parametrize('wrap', ['plain', 'RandomApply', 'RandomChoice', 'TestTimeAug'])
def test_transforms_that_lose_the_instance_map_are_refused(transform, replacement, wrap):
    wrapped = dict(
        plain=transform,
        RandomApply=dict(type='RandomApply', transforms=[transform]),
        RandomChoice=dict(type='RandomChoice', transforms=[[LOADING[0]], [transform]]),
        TestTimeAug=dict(type='TestTimeAug', transforms=[[transform], [LOADING[0]]]))[wrap]
    check_pipeline(Compose(LOADING))
    with pytest.raises(ValueError, match=replacement):
        check_pipeline(Compose([*LOADING, wrapped]))


@pytest.mark.parametrize('build', [
    lambda: mmcv_transforms.Resize(scale=(4, 4)),
    lambda: mmcv_transforms.RandomFlip(prob=1.0),
    lambda: mmcv_transforms.LoadAnnotations(),
])
def test_transforms_of_mmcv_that_know_one_map_are_refused(build):
    with pytest.raises(ValueError, match='cannot be used with instance maps'):
        check_pipeline([build()])


def test_transforms_that_carry_all_maps_are_accepted():
    check_pipeline(Compose([
        *LOADING,
        dict(type='RandomResize', scale=(4, 4), ratio_range=(0.5, 2.0)),
        dict(type='RandomChoiceResize', scales=[(4, 4), (8, 8)]),
        dict(type='RandomCrop', crop_size=(4, 4)),
        dict(type='RandomFlip', prob=0.5),
        dict(type='RandomRotate', prob=0.5, degree=10),
        dict(type='RandomCutOut', prob=1, n_holes=1, cutout_shape=(2, 2)),
        dict(type='PhotoMetricDistortion'),
        dict(type='InstPad', size=(8, 8)),
        dict(type='InstCenterCrop', crop_size=4),
        dict(type='PackInstInputs'),
    ]))


def test_a_subclass_that_handles_all_maps_is_accepted():

    class OwnPad(mmcv_transforms.Pad):
        pass

    check_pipeline([OwnPad(size=(4, 4))])


@pytest.mark.parametrize('transform', [
    mmcv_transforms.Pad(size=(20, 20)),
    mmcv_transforms.CenterCrop(crop_size=8),
    mmcv_transforms.Resize(scale=(8, 6)),
    mmcv_transforms.RandomFlip(prob=1.0),
])
def test_the_refused_ones_do_leave_the_instance_map_behind(loaded, transform):
    """Should mmcv learn to carry it, this fails and the entry can go."""
    assert type(transform) in REFUSED
    before = loaded['gt_inst_map'].copy()
    assert np.array_equal(transform(loaded)['gt_inst_map'], before)


def test_rot_flip_invents_categories(loaded):
    np.random.seed(0)
    loaded['seg_fields'] = ['gt_seg_map']
    rotate = mmseg_transforms.RandomRotFlip(rotate_prob=1.0, flip_prob=0.0, degree=(15, 20))
    assert not set(np.unique(rotate(loaded)['gt_seg_map'])) <= {0, 1, 3, 255}
