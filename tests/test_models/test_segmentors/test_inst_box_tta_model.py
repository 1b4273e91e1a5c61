"""Test-time augmentation: views without grouping, merged, grouped once."""
import copy

import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmseg.registry import DATASETS, MODELS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmseg_instbox.models import InstBoxTTAModel

CLASSES = ('background', 'square', 'disc', 'other')


def tta_pipeline(sides=(64, ), flips=(0., 1.), direction='horizontal') -> list[dict]:
    """As mmseg writes it: annotations are loaded after resizing and flipping."""
    return [
        dict(type='LoadInstImage'),
        dict(type='TestTimeAug', transforms=[
            [dict(type='Resize', scale=(side, side), keep_ratio=True) for side in sides],
            [dict(type='RandomFlip', prob=prob, direction=direction) for prob in flips],
            [dict(type='LoadInstAnnotations')],
            [dict(type='PackInstInputs')]])]


def load(tiny_voc, pipeline: list[dict], num: int = 2) -> dict:
    """A batch of ``num`` pictures as the loader gives it."""
    dataset = DATASETS.build(dict(
        type='InstBoxDataset', data_root=str(tiny_voc), metainfo=dict(classes=CLASSES),
        pipeline=pipeline))
    return pseudo_collate([dataset[i] for i in range(num)])


@pytest.fixture
def plain_batch(tiny_voc) -> dict:
    return load(tiny_voc, [dict(type='LoadInstImage'),
                           dict(type='Resize', scale=(64, 64), keep_ratio=True),
                           dict(type='LoadInstAnnotations'), dict(type='PackInstInputs')])


@pytest.fixture
def mirror_model(pooled_model) -> nn.Module:
    """Its boxes lie around their cell, so that it says the same of a mirror image."""
    pooled_model.box_head.conv_seg.weight.data[:2] = 0
    pooled_model.box_head.conv_seg.bias.data[:2] = 0
    pooled_model.test_cfg = dict(mode='whole', keep_boxes=True)
    return pooled_model


def assert_same(ours: SegDataSample, expected: SegDataSample, atol: float = 1e-3) -> None:
    assert torch.equal(ours.pred_sem_seg.data, expected.pred_sem_seg.data)
    for name in ('pred_boxes', 'pred_scores'):
        assert torch.allclose(ours.get(name).data, expected.get(name).data, atol=atol), name


@torch.no_grad()
@pytest.mark.parametrize('direction', ['horizontal', 'vertical', 'diagonal'])
@pytest.mark.parametrize('box_merge', ['mean', 'weighted', 'median', 'first'])
def test_mirror_images_tell_a_symmetric_network_nothing_new(
        mirror_model, tiny_voc, plain_batch, direction, box_merge):
    expected = mirror_model.test_step(plain_batch)
    model = InstBoxTTAModel(mirror_model, box_merge=box_merge)
    merged = model.test_step(load(tiny_voc, tta_pipeline(direction=direction)))
    assert len(merged) == 2
    for ours, theirs in zip(merged, expected, strict=True):
        assert_same(ours, theirs)


@torch.no_grad()
def test_one_view_is_the_plain_prediction(pooled_model, tiny_voc, plain_batch):
    pooled_model.test_cfg = dict(mode='whole', keep_boxes=True)
    expected = pooled_model.test_step(plain_batch)
    merged = InstBoxTTAModel(pooled_model).test_step(load(tiny_voc, tta_pipeline(flips=(0., ))))
    for ours, theirs in zip(merged, expected, strict=True):
        assert_same(ours, theirs)


@torch.no_grad()
def test_views_are_grouped_once_and_ground_truth_stays(pooled_model, tiny_voc, plain_batch):
    calls, grouper = [], pooled_model.grouper
    pooled_model.grouper = lambda *args: calls.append(args) or grouper(*args)
    model = InstBoxTTAModel(pooled_model)
    samples = model.test_step(load(tiny_voc, tta_pipeline(sides=(48, 64, 100))))
    assert len(calls) == len(samples) == 2
    assert [call[1].shape for call in calls] == [(4, 13, 13)] * 2  # the grid of the largest scale
    for sample, plain in zip(samples, plain_batch['data_samples'], strict=True):
        assert torch.equal(sample.gt_inst_map.data, plain.gt_inst_map.data)
        assert torch.equal(sample.gt_instances.bboxes, plain.gt_instances.bboxes)
        assert sample.pred_sem_seg.shape == sample.ori_shape == (64, 64)
        assert sample.pred_instances.masks.shape[1:] == (64, 64)
        assert not sample.flip and sample.img_path == plain.img_path


@torch.no_grad()
@pytest.mark.parametrize('box_merge', ['mean', 'weighted', 'median', 'first'])
@pytest.mark.parametrize('test_cfg', [
    {}, dict(shifts=2), dict(mode='slide', crop_size=(64, 64), stride=(32, 32))])
def test_all_views_of_a_constant_field_agree(field_model, box_merge, test_cfg):
    """Scales, mirror images, shifts, tiles: the box of every cell is the one of the original."""
    model, field = field_model(test_cfg | dict(keep_boxes=True), slope=0.)
    model.data_preprocessor.mean.fill_(0)
    model.data_preprocessor.std.fill_(1)
    model.data_preprocessor._channel_conversion = False
    inputs, samples = [], []
    for shape in ((60, 90), (80, 120), (101, 151)):
        for flip in (False, True):
            inputs.append([mirrored(field.picture(*shape, (80, 120)), flip)])
            meta = dict(img_shape=shape, ori_shape=(80, 120), flip=flip,
                        flip_direction='horizontal' if flip else None)
            samples.append([SegDataSample(metainfo=meta)])
    sample, = InstBoxTTAModel(model, box_merge).test_step(dict(inputs=inputs, data_samples=samples))
    boxes = sample.pred_boxes.data[:, 3:-4, 3:-4]
    assert boxes.shape[1] > 5
    assert torch.allclose(boxes, field.base[:, None, None].expand_as(boxes), atol=1e-2)


def mirrored(image: Tensor, flip: bool) -> Tensor:
    return image.flip(-1) if flip else image


def test_it_builds_from_a_config_and_loads_a_plain_checkpoint(tiny_model):
    plain = MODELS.build(copy.deepcopy(tiny_model))
    model = MODELS.build(dict(type='InstBoxTTAModel', module=tiny_model, box_merge='median'))
    assert model.box_merge == 'median'
    model.module.load_state_dict(plain.state_dict())


def test_unknown_rules_and_other_segmentors_are_refused(tiny_model):
    with pytest.raises(ValueError, match="box_merge is one of .*'median'.* got 'max'"):
        MODELS.build(dict(type='InstBoxTTAModel', module=tiny_model, box_merge='max'))
    for key in ('box_head', 'test_cfg'):
        tiny_model.pop(key)
    with pytest.raises(TypeError, match='augments an InstBoxSegmentor, got EncoderDecoder'):
        MODELS.build(dict(type='InstBoxTTAModel', module=tiny_model | dict(type='EncoderDecoder')))
