"""Shifted copies of the image simulate a finer network; geometry stays as defined."""
import copy

import pytest
import torch
import torch.nn.functional as F
from mmengine.structures import InstanceData, PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmseg_instbox.core.feature_grid import cell_points, sample_at_cells
from mmseg_instbox.core.shifted_copies import (
    feature_strides,
    interleave,
    resize_grid,
    shift_image,
    shift_offsets,
)
from mmseg_instbox.models.segmentors.label_shift import shift_training_batch

from .conftest import BoxField, inner_cells


@pytest.mark.parametrize('stride, num', [
    (8, 1), (8, 2), (8, 4), (16, 2), (16, 8), (4, 2), (6, 3), (14, 7)])
def test_copies_cells_are_those_of_the_finer_grid(stride, num):
    offsets = shift_offsets(stride, num)
    coarse = cell_points((3, 3), (3 * stride, 3 * stride))[0, :, 0]
    fine = cell_points((1, 3 * num), (stride, 3 * stride))[0, :, 0]
    together = torch.stack([coarse + offset for offset in offsets], dim=1).flatten()
    assert torch.allclose(together, fine)


@pytest.mark.parametrize('stride, num', [(8, 3), (8, 8), (4, 4), (2, 2), (16, 5)])
def test_fractions_of_a_pixel_are_refused(stride, num):
    with pytest.raises(ValueError, match=f'shifts={num} moves the image by fractions') as error:
        shift_offsets(stride, num)
    offered = str(error.value).split('[')[1].rstrip(']').split(', ')
    for choice in offered:
        assert len(shift_offsets(stride, int(choice))) == int(choice)


def test_interleave_puts_each_copy_in_its_place():
    grids = [torch.full((2, 3, 4, 5), 10. * y + x) for y in range(2) for x in range(2)]
    grids[1][0, 1, 2, 3] = 99
    fine = interleave(grids, 2)
    assert fine.shape == (2, 3, 8, 10)
    for y in range(2):
        for x in range(2):
            assert torch.equal(fine[:, :, y::2, x::2], grids[2 * y + x])
    assert fine[0, 1, 4, 7] == 99


def test_strides_are_found_by_looking():
    assert feature_strides(BoxField(stride=16, logit_stride=4), torch.rand(1, 3, 30, 40)) == (4, 16)


def test_a_grid_that_does_not_divide_its_input_is_refused():
    def odd(inputs: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros(1, 3, 25, 25), torch.zeros(1, 4, 25, 25)

    with pytest.raises(ValueError, match="224 x 224 pixels gave .25, 25. cells: use mode='whole'"):
        feature_strides(odd, torch.rand(1, 3, 30, 40))


@pytest.mark.parametrize('shape', [(96, 128), (93, 117)])
@pytest.mark.parametrize('stride, shifts', [(8, 2), (16, 2), (8, 4), (16, 4)])
def test_a_linear_field_comes_back_exactly(field_model, stride, shifts, shape):
    """At every cell of the finer grid stands the box, and the logit, of that cell's own point."""
    model, field = field_model(dict(shifts=shifts), stride=stride)
    dense, = model.predict_dense(field.picture(*shape)[None])
    step = stride // shifts
    assert dense.boxes.shape[1:] == (-(-shape[0] // step), -(-shape[1] // step))
    points = cell_points(dense.boxes.shape[1:], dense.extent)
    inside = inner_cells(points, shape, stride)
    assert inside.float().mean() > 0.3
    assert torch.allclose(dense.boxes[:, inside], field.boxes_at(points)[:, inside], atol=1e-3)
    assert torch.allclose(dense.logits[:2, inside], points.permute(2, 0, 1)[:, inside], atol=1e-3)


def test_logits_of_another_stride_come_to_the_grid_of_the_boxes(field_model):
    model, field = field_model(dict(shifts=2), stride=8, logit_stride=16)
    dense, = model.predict_dense(field.picture(96, 96)[None])
    assert dense.logits.shape[1:] == dense.boxes.shape[1:] == (24, 24)
    points = cell_points((24, 24), (96, 96))
    inside = inner_cells(points, (96, 96), 24)
    assert torch.allclose(dense.logits[:2, inside], points.permute(2, 0, 1)[:, inside], atol=1e-3)


def test_one_copy_is_the_network_itself(pooled_model):
    inputs = torch.randn(2, 3, 61, 75)
    plain = pooled_model.predict_dense(inputs)
    pooled_model.test_cfg = dict(mode='whole', shifts=1)
    for ours, expected in zip(pooled_model.predict_dense(inputs), plain, strict=True):
        assert torch.equal(ours.boxes, expected.boxes)
        assert torch.equal(ours.logits, expected.logits)


def test_copies_go_through_the_network_one_after_another(field_model):
    model, field = field_model(dict(shifts=2))
    model.predict_dense(field.picture(64, 64)[None])
    assert field.seen[1:] == [(1, 3, 64, 64)] * 4  # the first look finds the strides
    field.seen.clear()
    model.predict_dense(field.picture(64, 64)[None])
    assert len(field.seen) == 4  # and is not repeated


def twin(cfg: dict, depth: int, coarse: bool) -> nn.Module:
    """A segmentor of stride 16, or of stride 8 with everything behind the lost stride dilated."""
    cfg = copy.deepcopy(cfg)
    channels = 4 * (64 if depth < 50 else 256) // 8
    dilation = 1 if coarse else 2
    head = dict(in_channels=channels, channels=8, num_convs=1, dilation=dilation)
    cfg['backbone'].update(
        depth=depth, output_stride=16 if coarse else 8, stem_channels=4, base_channels=4)
    cfg['decode_head'].update(head, classifier_dilation=2 * dilation)
    cfg['box_head'].update(head)
    cfg['test_cfg'] = dict(shifts=2 if coarse else 1)
    return MODELS.build(cfg).eval()


def randomise(model: nn.Module) -> None:
    """Gives normalisations statistics of their own, and heads weights that show."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 1.5)
    for head in (model.decode_head, model.box_head):
        nn.init.normal_(head.conv_seg.weight, std=0.3)


# half of the pixels that a cell of the stride 16 networks sees, rounded up
REACH = {18: 270, 50: 280}


def test_a_shift_replicates_the_border():
    image = torch.arange(12.).view(1, 1, 3, 4)
    assert shift_image(image, 1, -2)[0, 0].tolist() == [[4, 4, 4, 5], [8, 8, 8, 9], [8, 8, 8, 9]]


@torch.no_grad()
@pytest.mark.parametrize('depth', [18, 50])
def test_two_by_two_copies_equal_the_dilated_network(tiny_model, depth):
    """Last stride turned into dilation, head dilation doubled: the same numbers at every cell.

    A cell of stride 16 stands for a point 8 pixels from where its convolutions start, one of stride
    8 for one 4 pixels away; so the dilated network sees the image 4 pixels further down and right.
    """
    coarse, fine = (twin(tiny_model, depth, which) for which in (True, False))
    randomise(coarse)
    fine.load_state_dict(coarse.state_dict())
    size = 2 * REACH[depth] + 80
    size -= size % 16
    image = torch.randn(1, 3, size, size)
    ours, = coarse.predict_dense(image)
    expected, = fine.predict_dense(F.pad(image, (4, 4, 4, 4)))
    points = cell_points(ours.boxes.shape[1:], (size, size))
    inside = inner_cells(points, (size, size), REACH[depth] + 4)
    assert inside.sum() >= 64
    for name in ('logits', 'boxes'):
        one, two = getattr(ours, name), getattr(expected, name)[:, :size // 8, :size // 8]
        assert one.shape == two.shape and one[:, inside].std() > 0.1
        error = (one - two)[:, inside].abs().max()
        assert error < 1e-4 * one[:, inside].abs().max(), name


def make_sample(seg: Tensor, inst: Tensor) -> SegDataSample:
    sample = SegDataSample(metainfo=dict(img_path='a.jpg'), gt_sem_seg=PixelData(data=seg[None]))
    sample.gt_inst_map = PixelData(data=inst[None])
    sample.gt_instances = InstanceData(
        ids=torch.tensor([3]), labels=torch.tensor([1]), bboxes=torch.tensor([[2., 5, 9, 12]]))
    return sample


@pytest.mark.parametrize('offset', [(0, 0), (3, 8), (8, 8), (5, 0)])
def test_images_and_labels_move_together_against_the_grid(offset):
    seg, inst = (torch.randint(0, high, (16, 20)).repeat_interleave(2, 0).repeat_interleave(2, 1)
                 for high in (4, 9))
    # a centre lies between two pixels, here of one colour
    seg, inst = (each.roll([1 - side % 2 for side in offset], (0, 1)) for each in (seg, inst.int()))
    sample, image = make_sample(seg, inst), torch.stack([seg, inst, inst * 0 + 1]).float()
    inputs, (moved, ) = shift_training_batch(image[None], [sample], offset, 8)
    assert inputs.shape == (1, 3, 40, 48)
    assert moved.gt_sem_seg.shape == moved.gt_inst_map.shape == (40, 48)
    assert moved.gt_inst_map.data.dtype == torch.int32 and moved.img_path == 'a.jpg'
    at_cells = [sample_at_cells(field, (5, 6))
                for field in (moved.gt_sem_seg.data[0], moved.gt_inst_map.data[0])]
    for i in range(5):
        for j in range(6):
            y, x = 8 * i + 4 - offset[0], 8 * j + 4 - offset[1]
            inside = 0 <= y < 32 and 0 <= x < 40
            assert at_cells[0][i, j] == (seg[y, x] if inside else 255)
            assert at_cells[1][i, j] == (inst[y, x] if inside else 255)
            colour = inputs[0, :, 8 * i + 4, 8 * j + 4]
            assert colour.tolist() == ([seg[y, x], inst[y, x], 1] if inside else [0, 0, 0])
    down, right = offset
    assert moved.gt_instances.bboxes.tolist() == [[2 + right, 5 + down, 9 + right, 12 + down]]
    assert moved.gt_instances.ids.tolist() == [3] and moved.gt_instances.labels.tolist() == [1]
    assert sample.gt_instances.bboxes.tolist() == [[2, 5, 9, 12]]  # the batch's own stays
    assert sample.gt_sem_seg.shape == (32, 40)


def test_the_same_grid_stays_as_it_is():
    grid = torch.rand(1, 2, 3, 4)
    assert resize_grid(grid, (3, 4)) is grid
