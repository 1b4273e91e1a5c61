"""Merging several views of an image."""
import math

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.models.segmentors import SegTTAModel
from mmseg.structures import SegDataSample
from torch import nn

from mmseg_instbox.core.dense_prediction import DensePrediction
from mmseg_instbox.core.feature_grid import cell_points
from mmseg_instbox.models.segmentors.view_merging import (
    BOX_MERGES,
    merge_boxes,
    merge_views,
    sample_grid,
)


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
    scores = torch.tensor([[.7, .2, .1], [.1, .8, .1], [.3, .6, .1]])[:, :, None, None]
    merged = merge_boxes(boxes, scores.expand(3, 3, 2, 2), rule)
    assert merged.shape == (4, 2, 2)
    assert torch.allclose(merged, torch.tensor(float(expected)))


@pytest.mark.parametrize('rule', BOX_MERGES)
def test_views_that_agree_stay_as_they_are(rule):
    view = make_view((5, 7), (40., 56.))
    logits, merged = merge_views([view] * 3, rule)
    assert torch.allclose(merged.boxes, view.boxes, atol=1e-4)
    assert torch.allclose(merged.scores, view.scores, atol=1e-6)
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
    assert torch.allclose(merged.scores, torch.stack([v.scores for v in views]).mean(0))

    samples = [SegDataSample(
        metainfo=dict(img_path='a.jpg'), seg_logits=PixelData(data=nn.functional.interpolate(
            view.logits[None], size=(40, 56), mode='bilinear')[0])) for view in views]
    module = nn.Module()
    module.out_channels, module.test_step = 3, None
    theirs, = SegTTAModel(module).merge_preds([samples])
    assert torch.equal(logits.argmax(dim=0), theirs.pred_sem_seg.data[0])
    assert torch.allclose(logits.exp().sum(dim=0), torch.ones(40, 56), atol=1e-4)
