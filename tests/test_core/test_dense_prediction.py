"""From the network's input back to the original image: padding, scale, mirror images."""
import pytest
import torch
import torch.nn.functional as F
from box_field import FieldPredictor, inner_cells

from mmseg_instbox.core.dense_prediction import (
    crop_to_image,
    flipped_dims,
    move_padding,
    unflip_boxes,
)
from mmseg_instbox.core.feature_grid import cell_points

DIMS = dict(horizontal=[-1], vertical=[-2], diagonal=[-2, -1])


@pytest.mark.parametrize('input_shape, img_shape, ori_shape, cells, extent', [
    ((64, 96), (64, 96), (64, 96), (8, 12), (64, 96)),
    ((64, 96), (61, 90), (61, 90), (8, 12), (64, 96)),
    ((64, 96), (40, 41), (40, 41), (5, 6), (40, 48)),
    ((64, 96), (40, 41), (80, 123), (5, 6), (80, 144)),
    ((60, 90), (60, 90), (60, 90), (8, 12), (60, 90)),
])
def test_crop_to_image(input_shape, img_shape, ori_shape, cells, extent):
    grid = torch.rand(2, 8, 12)
    cropped, covered = crop_to_image(grid, input_shape, img_shape, ori_shape)
    assert torch.equal(cropped, grid[:, :cells[0], :cells[1]])
    assert covered == pytest.approx(extent)


def test_boxes_of_a_mirror_image_by_hand():
    boxes = torch.tensor([[10., 20, 30, 60], [0, 0, 5, 5]]).T.reshape(4, 1, 2)
    flipped = unflip_boxes(boxes, (-1, ), (100, 80))
    assert flipped[:, 0, 1].tolist() == [50, 20, 70, 60]
    assert flipped[:, 0, 0].tolist() == [75, 0, 80, 5]
    both = unflip_boxes(boxes, (-2, -1), (100, 80))
    assert both[:, 0, 1].tolist() == [50, 40, 70, 80]


@pytest.mark.parametrize('dims', [(), (-1, ), (-2, ), (-2, -1)])
def test_mirroring_twice_changes_nothing(dims):
    boxes = torch.rand(4, 3, 5)
    twice = unflip_boxes(unflip_boxes(boxes, dims, (9, 7)), dims, (9, 7))
    assert torch.allclose(twice, boxes, atol=1e-5)


@pytest.mark.parametrize('direction', DIMS)
def test_padding_of_a_mirror_image_goes_where_it_was_flipped_away_from(direction):
    image = torch.rand(3, 5, 6)
    flipped = F.pad(image.flip(DIMS[direction]), (0, 2, 0, 3))
    dims = flipped_dims(dict(flip=True, flip_direction=direction))
    assert sorted(dims) == sorted(DIMS[direction])
    back = move_padding(flipped, (5, 6), dims).flip(dims)
    assert torch.equal(back, F.pad(image, (0, 2, 0, 3)))


def metainfo(img_shape, ori_shape, direction) -> dict:
    return dict(img_shape=img_shape, ori_shape=ori_shape, flip=direction is not None,
                flip_direction=direction)


@pytest.mark.parametrize('test_cfg', [
    dict(mode='whole'), dict(shifts=2),
    dict(mode='slide', crop_size=(48, 64), stride=(24, 32)),
    dict(mode='slide', crop_size=(48, 64), stride=(24, 32), shifts=2)])
@pytest.mark.parametrize('direction', [None, *DIMS])
@pytest.mark.parametrize('img_shape, ori_shape', [
    ((96, 128), (96, 128)), ((93, 117), (93, 117)), ((90, 120), (45, 60)), ((75, 99), (150, 297))])
def test_boxes_of_scaled_padded_mirrored_shifted_images(
        img_shape, ori_shape, direction, test_cfg):
    """Whatever was done to the picture, each cell has the box of its point of the original."""
    model = FieldPredictor(test_cfg)
    field = model.field
    picture = field.picture(*img_shape, ori_shape).flip(DIMS.get(direction, []))
    padded = F.pad(picture, (0, -img_shape[1] % 32, 0, -img_shape[0] % 32))
    dense, = model.predict_cells(padded[None], [metainfo(img_shape, ori_shape, direction)])
    assert dense.ori_shape == ori_shape
    points = cell_points(dense.boxes.shape[1:], dense.extent)
    step = max(ori / img for ori, img in zip(ori_shape, img_shape, strict=True)) * 8
    inside = inner_cells(points, ori_shape, step)
    assert inside.float().mean() > 0.3
    assert torch.allclose(dense.boxes[:, inside], field.boxes_at(points)[:, inside], atol=5e-3)
    assert torch.allclose(dense.logits[:2, inside], points.permute(2, 0, 1)[:, inside], atol=5e-3)


class OnAppleGPU(torch.Tensor):
    """A tensor whose device is that of an Apple GPU."""
    device = torch.device('mps')

    def cpu(self) -> torch.Tensor:
        return self.as_subclass(torch.Tensor)


def test_what_an_apple_gpu_cannot_group_comes_to_the_cpu():
    model = FieldPredictor()
    model.forward_dense = lambda inputs: [
        each.as_subclass(OnAppleGPU) for each in model.field(inputs)]
    dense, = model.predict_cells(model.field.picture(64, 96)[None], [{}])
    assert {each.device.type for each in (dense.logits, dense.probs, dense.boxes)} == {'cpu'}


def test_images_of_several_sizes_are_seen_with_their_own_padding():
    model = FieldPredictor()
    sizes = [(64, 96), (32, 128), (64, 96)]
    inputs = torch.stack([F.pad(model.field.picture(*size), (0, 128 - size[1], 0, 64 - size[0]))
                          for size in sizes])
    found = model.predict_cells(inputs, [dict(pad_shape=size) for size in sizes])
    assert sorted(model.field.seen) == [(1, 3, 32, 128), (2, 3, 64, 96)]
    assert [each.ori_shape for each in found] == sizes
    for each, size in zip(found, sizes, strict=True):
        alone, = model.predict_cells(model.field.picture(*size)[None], [{}])
        assert torch.equal(each.boxes, alone.boxes)


def test_plain_and_mirrored_images_in_one_batch():
    model = FieldPredictor()
    field = model.field
    pictures = [field.picture(93, 117), field.picture(93, 117).flip(-1), field.picture(61, 100)]
    inputs = torch.stack([F.pad(p, (0, 128 - p.shape[2], 0, 96 - p.shape[1])) for p in pictures])
    samples = [metainfo((93, 117), (93, 117), None),
               metainfo((93, 117), (93, 117), 'horizontal'),
               metainfo((61, 100), (61, 100), None)]
    plain, mirrored, other = model.predict_cells(inputs, samples)
    assert torch.allclose(plain.boxes[:, :11, :14], mirrored.boxes[:, :11, :14], atol=1e-3)
    assert plain.extent == mirrored.extent == (96, 120) and other.extent == (64, 104)
