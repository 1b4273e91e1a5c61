"""Real networks in tiles, by shifted copies and on mirror images."""
import copy

import pytest
import torch
import torch.nn.functional as F
from box_field import inner_cells
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn

from mmseg_instbox.core.feature_grid import cell_points

DIMS = dict(horizontal=[-1], vertical=[-2], diagonal=[-2, -1])


def flipped_sample(img_shape, ori_shape, direction) -> SegDataSample:
    meta = dict(img_shape=img_shape, ori_shape=ori_shape, flip=direction is not None,
                flip_direction=direction)
    return SegDataSample(metainfo=meta)


SLIDE = dict(mode='slide', crop_size=(64, 64), stride=(32, 32))


def test_a_box_to_the_right_is_one_to_the_left_in_the_mirror(pooled_model):
    """A network that says 'half a scale right and a quarter down' wherever it looks."""
    conv = pooled_model.box_head.conv_seg
    torch.nn.init.zeros_(conv.weight)
    conv.bias.data = torch.tensor([0.5, 0.25, 0., 0.])  # in units of 16 pixels
    image = torch.randn(1, 3, 64, 64)
    centres = {}
    for direction in (None, *DIMS):
        dense, = pooled_model.predict_dense(
            image, [flipped_sample((64, 64), (32, 128), direction)])
        x1, y1, x2, y2 = dense.boxes
        points = cell_points((8, 8), dense.extent)
        assert torch.allclose(x2 - x1, torch.tensor(32.)) and torch.allclose(
            y2 - y1, torch.tensor(8.))
        offset = torch.stack([(x1 + x2) / 2, (y1 + y2) / 2], dim=-1) - points
        assert torch.allclose(offset, offset[0, 0].expand_as(offset), atol=1e-4)
        centres[direction] = [round(v, 3) for v in offset[0, 0].tolist()]
    # 8 and 4 pixels of the input are 16 and 2 of the original
    assert centres == {None: [16, 2], 'horizontal': [-16, 2], 'vertical': [16, -2],
                       'diagonal': [-16, -2]}


@pytest.mark.parametrize('direction', [None, 'sideways'])
def test_unknown_directions_are_refused(pooled_model, direction):
    sample = SegDataSample(metainfo=dict(flip=True, flip_direction=direction))
    with pytest.raises(ValueError, match='flip_direction of a flipped test image is one of'):
        pooled_model.predict_dense(torch.randn(1, 3, 40, 48), [sample])


def test_one_copy_is_the_network_itself(pooled_model):
    inputs = torch.randn(2, 3, 61, 75)
    plain = pooled_model.predict_dense(inputs)
    pooled_model.test_cfg = dict(mode='whole', shifts=1)
    for ours, expected in zip(pooled_model.predict_dense(inputs), plain, strict=True):
        assert torch.equal(ours.boxes, expected.boxes)
        assert torch.equal(ours.logits, expected.logits)


def test_a_network_without_sight_predicts_the_same_in_tiles(pooled_model):
    image = torch.randn(2, 3, 136, 88)
    whole = pooled_model.predict_dense(image)
    pooled_model.test_cfg = SLIDE
    for ours, expected in zip(pooled_model.predict_dense(image), whole, strict=True):
        assert torch.allclose(ours.boxes, expected.boxes, atol=1e-3)
        assert torch.allclose(ours.probs, expected.probs, atol=1e-5)
        assert ours.extent == expected.extent


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
