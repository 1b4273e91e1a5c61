import math

import pytest
import torch
from mmengine.structures import InstanceData
from mmseg.registry import MODELS
from torch import Tensor

from mmseg_instbox.core.feature_grid import cell_points, sample_at_cells
from mmseg_instbox.errors import InvalidInputError
from mmseg_instbox.models import PixelBoxHead
from mmseg_instbox.models.box_heads.pixel_box_head import cell_boxes
from mmseg_instbox.models.task_modules import bootstrap_pixel_sampler

SCALE = 16.0
# grids for maps of 40 x 56: stride 8 (even), stride 8/7 of it (odd sizes), not divisible
GRIDS = [(5, 7), (40, 56), (6, 9)]


def build(**kwargs) -> PixelBoxHead:
    arguments = dict(
        in_channels=6,
        channels=6,
        in_index=0,
        num_convs=0,
        coder=dict(type='PixelBoxCoder', scale=SCALE)) | kwargs
    return MODELS.build(dict(type='PixelBoxHead', **arguments))


def slow_targets(sample, grid: tuple[int, int]) -> dict[tuple[int, int], list[float]]:
    """The deltas of every cell on an instance, cell by cell."""
    inst = sample.gt_inst_map.data[0]
    height, width = inst.shape
    instances = sample.gt_instances
    boxes = dict(zip(instances.ids.tolist(), instances.bboxes.tolist(), strict=True))
    ids = sample_at_cells(inst, grid)
    targets = {}
    for i in range(grid[0]):
        for j in range(grid[1]):
            x, y = (j + 0.5) * width / grid[1], (i + 0.5) * height / grid[0]
            box = boxes.get(int(ids[i, j]))
            if box is not None:
                x1, y1, x2, y2 = box
                targets[i, j] = [((x1 + x2) / 2 - x) / SCALE, ((y1 + y2) / 2 - y) / SCALE,
                                 math.log((x2 - x1) / SCALE), math.log((y2 - y1) / SCALE)]
    return targets


def smooth_l1(error: Tensor, beta: float = 0.25) -> Tensor:
    size = error.abs()
    return 0.5 * size**2 / beta if size < beta else size - 0.5 * beta


@pytest.fixture
def samples(random_scene, make_sample) -> list:
    return [make_sample(*random_scene(40, 56, num, num)) for num in (6, 3)]


@pytest.mark.parametrize('grid', GRIDS)
def test_targets_are_the_boxes_of_the_cells_instances(samples, grid):
    for sample in samples:
        valid, boxes = cell_boxes(sample, grid)
        targets = slow_targets(sample, grid)
        assert {tuple(cell) for cell in valid.nonzero().tolist()} == set(targets)
        assert 0 < len(boxes) < math.prod(grid)
        y, x = valid.nonzero().T + 0.5
        points = torch.stack([x * 56 / grid[1], y * 40 / grid[0]], dim=1)
        deltas = build().coder.encode(points, boxes)
        assert torch.allclose(deltas, torch.tensor(list(targets.values())), atol=1e-5)


@pytest.mark.parametrize('grid', GRIDS)
def test_loss_is_the_mean_over_each_images_thing_cells(samples, grid):
    deltas = torch.randn(2, 4, *grid, requires_grad=True)
    losses = build().loss_by_feat(deltas, samples)
    expected = 0
    for delta, sample in zip(deltas, samples, strict=True):
        targets = slow_targets(sample, grid)
        cells = [
            sum(smooth_l1(delta[c, i, j] - target[c]) for c in range(4)) / 4
            for (i, j), target in targets.items()
        ]
        expected = expected + sum(cells) / len(cells) / 2
    assert torch.allclose(losses['loss_box'], expected, rtol=1e-4)


@pytest.mark.parametrize('sampler', [None, dict(type='BootstrapPixelSampler', min_kept=0.3)])
def test_only_pixels_of_things_carry_loss(samples, sampler):
    grid = (40, 56)
    deltas = torch.randn(2, 4, *grid, requires_grad=True)
    build(sampler=sampler).loss_by_feat(deltas, samples)['loss_box'].backward()
    moved = deltas.grad.abs().sum(dim=1) > 0
    for sample, touched in zip(samples, moved, strict=True):
        inst = sample.gt_inst_map.data[0]
        things = (inst != 0) & (inst != 255)
        assert (inst == 255).any() and not touched[~things].any()
        if sampler is None:
            assert touched[things].all()
        else:  # the hardest 30 % of each image
            assert touched.sum() == math.ceil(0.3 * things.sum().item())


def test_bootstrapping_keeps_the_cells_with_the_largest_loss(samples):
    grid = (40, 56)
    deltas = torch.randn(2, 4, *grid, requires_grad=True)
    plain = build().loss_by_feat(deltas, samples[:1] * 2)['loss_box']
    hard = build(sampler=dict(type='BootstrapPixelSampler', min_kept=10)).loss_by_feat(
        deltas[:1], samples[:1])['loss_box']
    targets = slow_targets(samples[0], grid)
    cells = sorted(
        sum(smooth_l1(deltas[0, c, i, j] - target[c]).item() for c in range(4)) / 4
        for (i, j), target in targets.items())
    assert hard.item() == pytest.approx(sum(cells[-10:]) / 10, rel=1e-4)
    assert hard > plain


def test_perfect_boxes_have_no_loss_and_iou_one(samples):
    grid = (40, 56)
    deltas = torch.zeros(2, 4, *grid)
    for delta, sample in zip(deltas, samples, strict=True):
        for (i, j), target in slow_targets(sample, grid).items():
            delta[:, i, j] = torch.tensor(target)
    losses = build().loss_by_feat(deltas, samples)
    assert losses['loss_box'].item() == pytest.approx(0, abs=1e-8)
    assert losses['iou'].item() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize('sampler', [None, dict(type='BootstrapPixelSampler')])
def test_an_image_without_instances_gives_zero_and_lets_the_gradient_flow(make_sample, sampler):
    nothing = torch.zeros(16, 16, dtype=torch.int32)
    empty = make_sample(nothing.long(), nothing)
    head = build(sampler=sampler)
    losses = head.loss([torch.rand(2, 6, 4, 4)], [empty, empty], None)
    losses['loss_box'].backward()
    assert losses['loss_box'] == 0 and losses['iou'] == 0
    assert head.conv_seg.weight.grad.abs().sum() == 0  # there is one, and it is zero


def test_an_instance_that_is_not_listed_is_an_error(samples):
    sample = samples[0]
    sample.set_metainfo(dict(img_path='photo.jpg'))
    sample.gt_instances = sample.gt_instances[:-1]
    with pytest.raises(ValueError, match='photo.jpg'):
        cell_boxes(sample, (40, 56))
    no_ids = torch.zeros(0, dtype=torch.long)
    sample.gt_instances = InstanceData(ids=no_ids, bboxes=torch.zeros(0, 4))
    with pytest.raises(ValueError, match='PackInstInputs'):
        cell_boxes(sample, (40, 56))


def test_the_order_of_the_instances_does_not_matter(samples):
    sample, order = samples[0], torch.randperm(len(samples[0].gt_instances))
    expected = cell_boxes(sample, (5, 7))[1]
    sample.gt_instances = sample.gt_instances[order]
    assert torch.equal(cell_boxes(sample, (5, 7))[1], expected)


@pytest.mark.parametrize('grid', [(7, 7), (8, 8), (28, 28), (56, 56)])  # strides 8, 7, 2, 1
def test_flipping_the_image_flips_the_boxes(random_scene, make_sample, grid):
    seg, inst = random_scene(56, 56, 6)
    valid, boxes = cell_boxes(make_sample(seg, inst), grid)
    flipped_valid, flipped = cell_boxes(make_sample(seg.flip(1), inst.flip(1)), grid)
    assert torch.equal(flipped_valid.flip(1), valid)
    back = torch.zeros(*grid, 4)
    back[flipped_valid] = flipped
    mirrored = torch.stack([56 - boxes[:, 2], boxes[:, 1], 56 - boxes[:, 0], boxes[:, 3]], dim=1)
    assert torch.equal(back.flip(1)[valid], mirrored)


def test_predict_decodes_at_the_cells_points():
    head = build()
    torch.nn.init.zeros_(head.conv_seg.weight)
    head.conv_seg.bias.data = torch.tensor([0.5, -0.25, math.log(2), 0])
    boxes = head.predict([torch.rand(2, 6, 3, 4)], (33, 40))
    assert boxes.shape == (2, 4, 3, 4)
    for i in range(3):
        for j in range(4):
            x, y = (j + 0.5) * 10 + 8, (i + 0.5) * 11 - 4
            expected = [x - 16, y - 8, x + 16, y + 8]
            assert boxes[1, :, i, j].tolist() == pytest.approx(expected, abs=1e-4)


def test_predict_inverts_the_targets(samples):
    head, grid = build(), (6, 9)
    deltas = torch.zeros(1, 4, *grid)
    for (i, j), target in slow_targets(samples[0], grid).items():
        deltas[0, :, i, j] = torch.tensor(target)
    head.forward = lambda inputs: deltas
    valid, boxes = cell_boxes(samples[0], grid)
    predicted = head.predict((), (40, 56))[0].permute(1, 2, 0)[valid]
    assert torch.allclose(predicted, boxes, atol=1e-3)


@pytest.mark.parametrize('coder', ['PixelBoxCoder', 'CornerBoxCoder'])
@pytest.mark.parametrize('loss', ['IoULoss', 'GIoULoss'])
def test_losses_of_boxes_get_the_decoded_boxes(samples, coder, loss):
    grid = (40, 56)
    head = build(coder=dict(type=coder, scale=SCALE), loss_decode=dict(type=loss))
    deltas = torch.randn(2, 4, *grid, requires_grad=True)
    losses = head.loss_by_feat(deltas, samples)
    expected = []
    points = cell_points(grid, grid)
    for delta, sample in zip(deltas, samples, strict=True):
        valid, boxes = cell_boxes(sample, grid)
        decoded = head.coder.decode(points[valid], delta.permute(1, 2, 0)[valid])
        expected.append(head.loss_decode(decoded, boxes))
    assert torch.allclose(losses['loss_box'], sum(expected) / 2, rtol=1e-4)
    if loss == 'IoULoss':  # the same for each image, so their mean has this sum
        each = [1 - value for value in expected]
        assert min(each) <= losses['iou'] <= max(each)
    losses['loss_box'].backward()
    assert deltas.grad.abs().sum() > 0


@pytest.mark.parametrize('value', [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize('loss', ['SmoothL1Loss', 'IoULoss', 'GIoULoss'])
def test_boxes_that_are_not_finite_are_an_error_that_names_the_image(samples, value, loss):
    for name, sample in zip(('good.jpg', 'bad.jpg'), samples, strict=True):
        sample.set_metainfo(dict(img_path=name))
    head, deltas = build(loss_decode=dict(type=loss)), torch.randn(2, 4, 40, 56)
    y, x = cell_boxes(samples[1], (40, 56))[0].nonzero()[0].tolist()
    deltas[1, 2, y, x] = value
    with pytest.raises(ValueError, match='NaN or infinite for bad.jpg:'):
        head.loss_by_feat(deltas, samples)
    head.guarded = True  # as in a run, which leaves out such an iteration
    losses = head.loss_by_feat(deltas.requires_grad_(), samples)
    assert losses['loss_box'].isnan() and losses['loss_box'].requires_grad


def test_boxes_that_are_not_finite_keep_processes_in_step(samples, monkeypatch):
    """All of them add up their kept pixels, whichever has the fault."""
    summed = []
    monkeypatch.setattr(bootstrap_pixel_sampler, 'all_reduce', summed.append)
    head = build(sampler=dict(type='BootstrapPixelSampler', scope='batch', min_loss=0.1))
    head.guarded = True
    losses = head.loss_by_feat(torch.full((2, 4, 40, 56), math.nan, requires_grad=True), samples)
    assert losses['loss_box'].isnan() and len(summed) == 1


def test_void_cells_may_hold_anything(samples):
    deltas = torch.randn(2, 4, 40, 56)
    for delta, sample in zip(deltas, samples, strict=True):
        delta[:, ~cell_boxes(sample, (40, 56))[0]] = math.nan
    assert torch.isfinite(build().loss_by_feat(deltas, samples)['loss_box'])


def test_several_losses_are_refused():
    with pytest.raises(ValueError, match='one loss_decode, got 2'):
        build(loss_decode=[dict(type='SmoothL1Loss'), dict(type='GIoULoss')])


@pytest.mark.parametrize('kernel', [1, 5])
def test_the_first_convolution_may_have_another_kernel(kernel):
    usual, head = (build(num_convs=2, dilation=2, act_cfg=None, **each)
                   for each in ({}, dict(first_kernel=kernel)))
    sizes = {name: weight.shape for name, weight in usual.state_dict().items()}
    sizes['convs.0.conv.weight'] = (6, 6, kernel, kernel)
    assert {name: tuple(weight.shape) for name, weight in head.state_dict().items()} == sizes
    image = torch.zeros(1, 6, 41, 41, requires_grad=True)
    head.eval()([image])[0, 0, 20, 20].backward()
    seen = image.grad[0].abs().sum(dim=0).nonzero()
    reach = 2 * (kernel // 2) + 2  # of both convolutions, with dilation 2
    assert seen.amin(dim=0).tolist() == [20 - reach] * 2
    assert seen.amax(dim=0).tolist() == [20 + reach] * 2


@pytest.mark.parametrize('arguments', [dict(num_convs=1, first_kernel=2),
                                       dict(num_convs=0, first_kernel=1)])
def test_a_first_kernel_that_cannot_be_is_refused(arguments):
    with pytest.raises(InvalidInputError, match='expected an odd size'):
        build(**arguments)
