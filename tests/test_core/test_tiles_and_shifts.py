"""Several passes of the network over one image: tiles of it, or shifted copies."""
import math

import pytest
import torch
from box_field import BoxField, FieldPredictor, inner_cells
from torch import Tensor, nn

from mmseg_instbox.core.feature_grid import cell_points
from mmseg_instbox.core.tiles_and_shifts import (
    border_distance,
    feature_strides,
    forward_tiled,
    interleave,
    shift_image,
    shift_offsets,
    tile_starts,
)


@pytest.mark.parametrize('size', [8, 32, 40, 64, 104, 232])
@pytest.mark.parametrize('tile, step', [(32, 32), (32, 16), (64, 40), (40, 8)])
def test_tiles_cover_the_image_and_end_with_it(size, tile, step):
    starts = tile_starts(size, tile, step)
    covered = set()
    for start in starts:
        covered |= set(range(start, min(start + tile, size)))
    assert covered == set(range(size))
    assert starts[0] == 0 and starts[-1] == max(size - tile, 0)
    assert len(set(starts)) == len(starts)
    # as many as mmseg's slide_inference takes
    assert len(starts) == max(size - tile + step - 1, 0) // step + 1


def test_the_images_own_border_does_not_count():
    inf = math.inf
    assert border_distance(0, 4, 4).tolist() == [inf] * 4
    assert border_distance(0, 4, 9).tolist() == [3.5, 2.5, 1.5, 0.5]
    assert border_distance(5, 4, 9).tolist() == [0.5, 1.5, 2.5, 3.5]
    assert border_distance(2, 4, 9).tolist() == [0.5, 1.5, 1.5, 0.5]


class TileNumbers:
    """A 'network' that answers with the number of its call."""

    def __init__(self, stride: int) -> None:
        self.stride, self.calls = stride, []

    def __call__(self, tile: Tensor) -> tuple[Tensor, Tensor]:
        """Logits are the call's number, boxes too (as deltas from the tile's corner)."""
        grid = tuple(side // self.stride for side in tile.shape[-2:])
        self.calls.append(tuple(tile[0, 0, 0, 0:1].long().tolist()))
        value = float(len(self.calls) - 1)
        return torch.full((1, 2, *grid), value), torch.full((1, 4, *grid), value)


@pytest.mark.parametrize('shape, crop, step', [
    ((64, 96), (32, 32), (16, 16)), ((72, 104), (40, 48), (24, 32)), ((24, 200), (64, 64), (32, 40))
])
def test_each_cell_is_of_the_tile_in_which_it_is_innermost(shape, crop, step):
    network = TileNumbers(8)
    logits, boxes = forward_tiled(network, torch.zeros(1, 3, *shape), crop, step, 8)
    tiles = [(y, x) for y in tile_starts(shape[0], crop[0], step[0])
             for x in tile_starts(shape[1], crop[1], step[1])]
    assert len(network.calls) == len(tiles)
    for i in range(shape[0] // 8):
        for j in range(shape[1] // 8):
            depth, holds = {}, []
            for number, (y, x) in enumerate(tiles):
                bottom, right = min(y + crop[0], shape[0]), min(x + crop[1], shape[1])
                py, px = 8 * i + 4, 8 * j + 4
                if not (y <= py < bottom and x <= px < right):
                    continue
                holds.append(number)
                sides = [py - y if y else math.inf, px - x if x else math.inf,
                         bottom - py if bottom < shape[0] else math.inf,
                         right - px if right < shape[1] else math.inf]
                depth[number] = min(sides)
            best = max(depth, key=depth.get)  # the first of equals
            y, x = tiles[best]
            expected = [best + x, best + y, best + x, best + y]
            assert boxes[0, :, i, j].tolist() == expected
            assert logits[0, 0, i, j].item() == pytest.approx(sum(holds) / len(holds))


class SmallSight(nn.Module):
    """Convolutions to stride 8 whose cells see 23 pixels to each side: under 3 cells."""

    def __init__(self) -> None:
        super().__init__()
        sizes = [(3, 6, 2), (6, 6, 2), (6, 6, 2), (6, 8, 1)]
        self.convs = nn.Sequential(*(layer for ins, outs, stride in sizes for layer in (
            nn.Conv2d(ins, outs, 3, stride, padding=1), nn.Tanh())))

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes around each cell's point; logits of three categories at half that grid."""
        feats = self.convs(inputs)
        points = cell_points(feats.shape[-2:], inputs.shape[-2:]).permute(2, 0, 1)
        return (nn.functional.avg_pool2d(feats[:, :3], 2),
                torch.cat([points, points])[None] + 40 * feats[:, 4:])


@torch.no_grad()
@pytest.mark.parametrize('shape', [(128, 192), (144, 80), (48, 304), (32, 48)])
def test_slide_equals_whole_where_tiles_overlap_enough(shape):
    """Overlaps of 64 pixels leave every cell 4 cells of some tile to see: boxes are the same."""
    network, image = SmallSight(), torch.randn(1, 3, *shape)
    whole_logits, whole_boxes = network(image)
    logits, boxes = forward_tiled(network, image, (96, 112), (32, 48), 16)
    assert boxes.shape == whole_boxes.shape and logits.shape == whole_logits.shape
    assert whole_boxes.std() > 1
    assert torch.allclose(boxes, whole_boxes, atol=1e-3)
    seen = torch.ones(shape[0] // 16, shape[1] // 16, dtype=torch.bool)
    for tile, dim in ((96, 0), (112, 1)):  # cells within 2 of a tile's border know less
        for start in tile_starts(shape[dim], tile, (32, 48)[dim]):
            for edge in (start // 16, (start + tile) // 16):
                if 0 < edge < seen.shape[dim]:
                    seen.narrow(dim, edge - 2, 4 if edge + 2 <= seen.shape[dim] else 3).fill_(False)
    assert torch.allclose(logits[..., seen], whole_logits[..., seen], atol=1e-4)


def test_tiles_are_aligned_to_the_stride_whatever_is_asked_for():
    sizes = []

    def network(tile: Tensor) -> tuple[Tensor, Tensor]:
        sizes.append(tuple(tile.shape[-2:]))
        grid = [side // 16 for side in tile.shape[-2:]]
        return tile.new_zeros(1, 2, *grid), tile.new_zeros(1, 4, *grid)

    _, boxes = forward_tiled(network, torch.zeros(1, 3, 160, 96), (60, 63), (45, 33), 16)
    assert set(sizes) == {(64, 64)} and boxes.shape == (1, 4, 10, 6)
    assert len(sizes) == len(tile_starts(160, 64, 32)) * len(tile_starts(96, 64, 32))


SLIDE = dict(mode='slide', crop_size=(64, 64), stride=(32, 32))


@pytest.mark.parametrize('shape', [(128, 160), (93, 117), (64, 64), (40, 200), (45, 37)])
@pytest.mark.parametrize('extra', [{}, dict(shifts=2)])
def test_boxes_are_in_image_coordinates(shape, extra):
    model = FieldPredictor(SLIDE | extra, stride=8)
    field = model.field
    dense, = model.predict_cells(field.picture(*shape)[None], [{}])
    points = cell_points(dense.boxes.shape[1:], dense.extent)
    inside = inner_cells(points, shape, 8)
    assert inside.any()
    assert torch.allclose(dense.boxes[:, inside], field.boxes_at(points)[:, inside], atol=1e-3)
    assert torch.allclose(dense.logits[:2, inside], points.permute(2, 0, 1)[:, inside], atol=1e-3)
    assert max(max(size[2:]) for size in field.seen[1:]) <= 64


@pytest.mark.parametrize('logit_stride', [4, 16])
def test_heads_on_different_grids_in_tiles(logit_stride):
    model = FieldPredictor(SLIDE, stride=8, logit_stride=logit_stride)
    field = model.field
    dense, = model.predict_cells(field.picture(128, 96)[None], [{}])
    assert dense.logits.shape[1:] == (128 // logit_stride, 96 // logit_stride)
    points = cell_points(dense.logits.shape[1:], dense.logits_extent)
    assert torch.allclose(dense.logits[:2], points.permute(2, 0, 1), atol=1e-3)
    points = cell_points((16, 12), (128, 96))
    assert torch.allclose(dense.boxes, field.boxes_at(points), atol=1e-3)


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
def test_a_linear_field_comes_back_exactly(stride, shifts, shape):
    """At every cell of the finer grid stands the box, and the logit, of that cell's own point."""
    model = FieldPredictor(dict(shifts=shifts), stride=stride)
    field = model.field
    dense, = model.predict_cells(field.picture(*shape)[None], [{}])
    step = stride // shifts
    assert dense.boxes.shape[1:] == (-(-shape[0] // step), -(-shape[1] // step))
    points = cell_points(dense.boxes.shape[1:], dense.extent)
    inside = inner_cells(points, shape, stride)
    assert inside.float().mean() > 0.3
    assert torch.allclose(dense.boxes[:, inside], field.boxes_at(points)[:, inside], atol=1e-3)
    assert torch.allclose(dense.logits[:2, inside], points.permute(2, 0, 1)[:, inside], atol=1e-3)


def test_logits_of_another_stride_come_to_the_grid_of_the_boxes():
    model = FieldPredictor(dict(shifts=2), stride=8, logit_stride=16)
    field = model.field
    dense, = model.predict_cells(field.picture(96, 96)[None], [{}])
    assert dense.logits.shape[1:] == dense.boxes.shape[1:] == (24, 24)
    points = cell_points((24, 24), (96, 96))
    inside = inner_cells(points, (96, 96), 24)
    assert torch.allclose(dense.logits[:2, inside], points.permute(2, 0, 1)[:, inside], atol=1e-3)


def test_copies_go_through_the_network_one_after_another():
    model = FieldPredictor(dict(shifts=2))
    field = model.field
    model.predict_cells(field.picture(64, 64)[None], [{}])
    assert field.seen[1:] == [(1, 3, 64, 64)] * 4  # the first look finds the strides
    field.seen.clear()
    model.predict_cells(field.picture(64, 64)[None], [{}])
    assert len(field.seen) == 4  # and is not repeated


def test_a_shift_replicates_the_border():
    image = torch.arange(12.).view(1, 1, 3, 4)
    assert shift_image(image, 1, -2)[0, 0].tolist() == [[4, 4, 4, 5], [8, 8, 8, 9], [8, 8, 8, 9]]
