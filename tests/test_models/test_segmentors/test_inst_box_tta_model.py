"""Test-time augmentation: views without grouping, merged, grouped once."""
import copy
import math

import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.structures import PixelData
from mmseg.models.segmentors import SegTTAModel
from mmseg.registry import DATASETS, MODELS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmseg_instbox.core.dense_prediction import DensePrediction
from mmseg_instbox.core.feature_grid import cell_points
from mmseg_instbox.models import InstBoxTTAModel
from mmseg_instbox.models.segmentors.inst_box_tta_model import (
    BOX_MERGES,
    merge_boxes,
    merge_views,
    sample_grid,
)

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
    for name in ('pred_boxes', 'pred_probs'):
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


def make_view(grid: tuple[int, int], extent: tuple[float, float], value: float | None = None,
              ori_shape: tuple[int, int] = (40, 56)) -> DensePrediction:
    """A view with random logits, and boxes that are all ``value`` or linear in the point."""
    logits = torch.randn(3, *grid)
    points = cell_points(grid, extent).permute(2, 0, 1)
    boxes = torch.cat([points, points + 5]) if value is None else torch.full((4, *grid), value)
    return DensePrediction(logits, extent, logits.softmax(0), boxes, extent, ori_shape)


def test_bilinear_sampling_is_exact_on_a_linear_field():
    points = cell_points((6, 8), (48, 64)).permute(2, 0, 1)
    new = cell_points((11, 9), (44., 63.))
    sampled = sample_grid(points, (48, 64), (11, 9), (44., 63.), 'bilinear')
    inner = (new[..., 0] > 4) & (new[..., 0] < 60) & (new[..., 1] > 4) & (new[..., 1] < 44)
    assert inner.any()
    assert torch.allclose(sampled[:, inner], new.permute(2, 0, 1)[:, inner], atol=1e-3)


@pytest.mark.parametrize('shape, extent', [((11, 9), (44., 63.)), ((3, 4), (50., 70.))])
def test_nearest_sampling_takes_the_cell_that_holds_the_point(shape, extent):
    grid = torch.rand(4, 6, 8)
    sampled = sample_grid(grid, (48, 64), shape, extent, 'nearest')
    for i in range(shape[0]):
        for j in range(shape[1]):
            y, x = (i + 0.5) * extent[0] / shape[0], (j + 0.5) * extent[1] / shape[1]
            cell = min(math.floor(y / 8), 5), min(math.floor(x / 8), 7)
            assert torch.equal(sampled[:, i, j], grid[:, cell[0], cell[1]]), (y, x)


def test_the_same_grid_is_not_sampled_at_all():
    grid = torch.rand(4, 6, 8)
    assert sample_grid(grid, (48, 64), (6, 8), (48, 64), 'bilinear') is grid


@pytest.mark.parametrize('rule, expected', [
    ('first', 0), ('mean', 5), ('median', 1), ('weighted', (0 * .2 + 1 * .8 + 14 * .6) / 1.6)])
def test_rules_by_hand(rule, expected):
    boxes = torch.tensor([0., 1, 14]).reshape(3, 1, 1, 1).expand(3, 4, 2, 2)
    # the second category is the best of the three views together
    probs = torch.tensor([[.7, .2, .1], [.1, .8, .1], [.3, .6, .1]])[:, :, None, None]
    merged = merge_boxes(boxes, probs.expand(3, 3, 2, 2), rule)
    assert merged.shape == (4, 2, 2)
    assert torch.allclose(merged, torch.tensor(float(expected)))


@pytest.mark.parametrize('rule', BOX_MERGES)
def test_views_that_agree_stay_as_they_are(rule):
    view = make_view((5, 7), (40., 56.))
    logits, merged = merge_views([view] * 3, rule)
    assert torch.allclose(merged.boxes, view.boxes, atol=1e-4)
    assert torch.allclose(merged.probs, view.probs, atol=1e-6)
    assert merged.extent == view.extent and logits.shape == (3, 40, 56)


@pytest.mark.parametrize('rule', BOX_MERGES)
def test_every_rule_keeps_between_the_views(rule):
    views = [make_view((5, 7), (40., 56.), value) for value in (3., 8., 4.)]
    _, merged = merge_views(views, rule)
    assert (merged.boxes >= 3).all() and (merged.boxes <= 8).all()


def test_the_finest_grid_counts_and_its_first_view_is_the_first():
    views = [make_view((5, 7), (40., 56.), 1.), make_view((10, 14), (40., 56.), 2.),
             make_view((10, 14), (40., 56.), 3.), make_view((6, 8), (41., 57.), 4.)]
    _, merged = merge_views(views, 'first')
    assert merged.boxes.shape == (4, 10, 14) and (merged.boxes == 2).all()
    _, merged = merge_views(views, 'mean')
    assert torch.allclose(merged.boxes, torch.tensor(2.5))


def test_boxes_of_other_grids_are_never_blended():
    """Two objects side by side: a coarse view knows no box between theirs."""
    fine, coarse = make_view((4, 8), (32., 64.), 0.), make_view((2, 4), (32., 64.), 0.)
    coarse.boxes[:, :, 2:] = 100
    _, merged = merge_views([coarse, fine._replace(boxes=fine.boxes + 0)], 'mean')
    assert set(merged.boxes.unique().tolist()) == {0, 50}
    assert (merged.boxes[:, :, :4] == 0).all()


def test_probabilities_are_averaged_as_mmseg_does():
    views = [make_view((5, 7), (40., 56.), 0.) for _ in range(3)]
    logits, merged = merge_views(views, 'mean')
    assert torch.allclose(merged.probs, torch.stack([v.probs for v in views]).mean(0))

    samples = [SegDataSample(
        metainfo=dict(img_path='a.jpg'), seg_logits=PixelData(data=nn.functional.interpolate(
            view.logits[None], size=(40, 56), mode='bilinear')[0])) for view in views]
    module = nn.Module()
    module.out_channels, module.test_step = 3, None
    theirs, = SegTTAModel(module).merge_preds([samples])
    assert torch.equal(logits.argmax(dim=0), theirs.pred_sem_seg.data[0])
    assert torch.allclose(logits.exp().sum(dim=0), torch.ones(40, 56), atol=1e-4)
