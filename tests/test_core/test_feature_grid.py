import math
from collections import Counter
from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F

from mmseg_instbox.core.feature_grid import (
    cell_points,
    resize_grid,
    resize_to_extent,
    sample_at_cells,
    upsample_corner_aligned,
)
from mmseg_instbox.errors import InvalidInputError

GRIDS = [((4, 6), (32, 48)), ((5, 3), (33, 20)), ((1, 1), (7, 9)), ((13, 11), (13, 11))]


@pytest.mark.parametrize('grid, extent', GRIDS)
def test_cell_points_divide_the_extent_evenly(grid, extent):
    points = cell_points(grid, extent)
    assert points.shape == (*grid, 2) and points.dtype == torch.float32
    for i in range(grid[0]):
        for j in range(grid[1]):
            x, y = (j + 0.5) * extent[1] / grid[1], (i + 0.5) * extent[0] / grid[0]
            assert points[i, j].tolist() == pytest.approx([x, y])


def test_cell_points_are_where_interpolation_puts_the_cells():
    points = cell_points((5, 7), (43, 30))
    ramp = F.interpolate(points.permute(2, 0, 1)[None], size=(43, 30), mode='bilinear')[0]
    pixels = cell_points((43, 30), (43, 30)).permute(2, 0, 1)
    inner = (slice(None), slice(5, -5), slice(3, -3))
    assert torch.allclose(ramp[inner], pixels[inner], atol=1e-4)


def pixels_around(cell: int, cells: int, pixels: int) -> list[int]:
    """The pixels that hold or touch the centre of a cell, in exact arithmetic."""
    centre = (cell + Fraction(1, 2)) * Fraction(pixels, cells)
    return [k for k in range(pixels) if k <= centre <= k + 1
            and (centre.denominator == 1 or k < centre < k + 1)]


def slow_label(label_map: torch.Tensor, i: int, j: int, grid: tuple[int, int]) -> int:
    """What most of the pixels around a cell's centre have; 255 on a tie."""
    height, width = label_map.shape
    votes = Counter(int(label_map[y, x]) for y in pixels_around(i, grid[0], height)
                    for x in pixels_around(j, grid[1], width))
    (first, most), *others = votes.most_common()
    return 255 if others and others[0][1] == most else first


@pytest.mark.parametrize('num_values', [2, 3, 300])
@pytest.mark.parametrize('grid, extent', [*GRIDS, ((6, 9), (40, 56)), ((3, 5), (20, 25))])
def test_labels_are_those_of_most_pixels_around_the_centre(grid, extent, num_values):
    labels = torch.randint(0, num_values, (2, *extent), dtype=torch.int32)
    sampled = sample_at_cells(labels, grid)
    assert sampled.shape == (2, *grid) and sampled.dtype == torch.int32
    for i in range(grid[0]):
        for j in range(grid[1]):
            for label_map, result in zip(labels, sampled, strict=True):
                assert result[i, j] == slow_label(label_map, i, j, grid)


@pytest.mark.parametrize('extent', [(24, 32), (22, 27.5), (21, 30)])
def test_beyond_the_map_its_border_counts(extent):
    labels = torch.randint(0, 3, (2, 21, 27))
    padding = (0, math.ceil(extent[1]) - 27, 0, math.ceil(extent[0]) - 21)
    larger = F.pad(labels.float(), padding, mode='replicate').long()
    assert torch.equal(sample_at_cells(labels, (3, 4), extent),
                       sample_at_cells(larger, (3, 4), extent))


def test_golden_samples():
    labels = torch.tensor([[0, 0, 2, 3], [0, 1, 3, 4]])
    assert sample_at_cells(labels, (1, 2)).tolist() == [[0, 3]]
    assert sample_at_cells(labels, (2, 2)).tolist() == [[0, 255], [255, 255]]
    assert sample_at_cells(labels, (1, 1), void=-1).tolist() == [[-1]]  # of 0, 2, 1 and 3
    assert torch.equal(sample_at_cells(labels, (2, 4)), labels)


@pytest.mark.parametrize('extent, grid', [
    ((24, 28), (3, 4)), ((24, 32), (3, 4)), ((21, 28), (3, 4)), ((8, 8), (4, 4)), ((40, 56), (6, 9))
])
def test_labels_of_a_mirror_image_are_mirrored(extent, grid):
    labels = torch.randint(0, 3, extent)
    sampled = sample_at_cells(labels, grid)
    for axes in ((0, ), (1, ), (0, 1)):
        assert torch.equal(sample_at_cells(labels.flip(axes), grid), sampled.flip(axes))


def test_labels_of_a_large_area_do_not_move():
    """The centre of mass of the cells is that of the pixels, so masks are not shifted."""
    labels = torch.zeros(64, 64, dtype=torch.int64)
    labels[16:48, 24:40] = 1
    for side in (32, 16, 8):
        cells = sample_at_cells(labels, (side, side)) == 1
        centre = cell_points((side, side), (64, 64))[cells].mean(dim=0)
        assert centre.tolist() == [32, 32]


def slow_upsample(grid: torch.Tensor, ratio: int) -> torch.Tensor:
    """Bilinear interpolation at (k + 1/2) / ratio, number by number; the last cell is repeated."""
    h, w = grid.shape
    fine = torch.zeros(h * ratio, w * ratio)
    for i in range(h * ratio):
        for j in range(w * ratio):
            y, x = (i + 0.5) / ratio, (j + 0.5) / ratio
            top, left = int(y), int(x)
            for row, y_weight in ((top, 1 - (y - top)), (top + 1, y - top)):
                for column, x_weight in ((left, 1 - (x - left)), (left + 1, x - left)):
                    value = grid[min(row, h - 1), min(column, w - 1)]
                    fine[i, j] += y_weight * x_weight * value
    return fine


@pytest.mark.parametrize('shape', [(3, 4), (1, 1), (5, 2)])
@pytest.mark.parametrize('ratio', [2, 4, 8])
def test_upsampling_interpolates_between_corners(shape, ratio):
    grid = torch.randn(2, 3, *shape)
    fine = upsample_corner_aligned(grid, tuple(ratio * side for side in shape))
    for image, result in zip(grid, fine, strict=True):
        for channel, expected in zip(image, result, strict=True):
            torch.testing.assert_close(expected, slow_upsample(channel, ratio))


@pytest.mark.parametrize('ratio', [2, 4, 8])
def test_a_ramp_at_the_corners_is_a_ramp_at_the_fine_centres(ratio):
    """Cell i of the ramp has seen pixel ratio * i: its value is where it looked."""
    coarse = ratio * torch.arange(5.).expand(1, 1, 4, 5)
    ramp = upsample_corner_aligned(coarse, (4 * ratio, 5 * ratio))[0, 0]
    centres = cell_points((4 * ratio, 5 * ratio), (4 * ratio, 5 * ratio))[..., 0]
    inside = 4 * ratio  # the last cell looked at this column; nothing is known beyond
    torch.testing.assert_close(ramp[:, :inside], centres[:, :inside])
    assert (ramp[:, inside:] == inside).all()


@pytest.mark.parametrize('ratio', [2, 4])
def test_upsampling_a_mirror_image_mirrors_the_result(ratio):
    """n cells have n + 1 corners, of which the last is unknown and repeats the one before. For both
    directions to know the same, the first repeats here too."""
    corners = torch.randn(1, 1, 1, 6)[..., [0, 0, 1, 2, 3, 4, 5, 5]]
    there, back = (upsample_corner_aligned(values[..., :-1], (ratio, 7 * ratio))
                   for values in (corners, corners.flip(-1)))
    torch.testing.assert_close(back, there.flip(-1))
    torch.testing.assert_close(
        upsample_corner_aligned(corners[..., :-1].mT, (7 * ratio, ratio)), there.mT)


def test_a_grid_of_the_right_size_is_not_upsampled():
    grid = torch.rand(1, 2, 3, 4)
    assert upsample_corner_aligned(grid, (3, 4)) is grid


@pytest.mark.parametrize('shape', [(6, 9), (7, 8), (2, 4), (9, 12), (3, 8)])
def test_only_even_factors_can_be_upsampled(shape):
    with pytest.raises(InvalidInputError, match=r'A grid of \(3, 4\) .*size_divisor'):
        upsample_corner_aligned(torch.rand(1, 2, 3, 4), shape)


def test_resize_covers_the_extent_and_cuts_to_the_image():
    grid = torch.rand(3, 4, 5)
    full = F.interpolate(grid[None], size=(32, 40), mode='bilinear', align_corners=False)[0]
    assert torch.equal(resize_to_extent(grid, (32.0, 40.0), (32, 40)), full)
    assert torch.equal(resize_to_extent(grid, (32.0, 40.0), (27, 38)), full[:, :27, :38])
    assert torch.equal(resize_to_extent(grid, (4, 5), (4, 5)), grid)


def test_resize_never_gives_less_than_the_image():
    assert resize_to_extent(torch.rand(1, 3, 3), (9.4, 9.4), (10, 9)).shape == (1, 10, 9)


def test_the_same_grid_stays_as_it_is():
    grid = torch.rand(1, 2, 3, 4)
    assert resize_grid(grid, (3, 4)) is grid
