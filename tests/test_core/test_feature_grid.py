import math

import pytest
import torch
import torch.nn.functional as F

from mmseg_instbox.core.feature_grid import (
    cell_points,
    resize_to_extent,
    sample_at_cells,
)

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


@pytest.mark.parametrize('grid, extent', GRIDS)
def test_labels_are_those_of_the_pixel_that_holds_the_point(grid, extent):
    labels = torch.arange(2 * math.prod(extent), dtype=torch.int32).reshape(2, *extent)
    sampled = sample_at_cells(labels, grid)
    assert sampled.shape == (2, *grid) and sampled.dtype == torch.int32
    for i in range(grid[0]):
        for j in range(grid[1]):
            y = math.floor((i + 0.5) * extent[0] / grid[0])
            x = math.floor((j + 0.5) * extent[1] / grid[1])
            assert torch.equal(sampled[:, i, j], labels[:, y, x])


def test_golden_samples():
    labels = torch.tensor([[0, 1, 2, 3], [4, 5, 6, 7]])
    assert sample_at_cells(labels, (1, 2)).tolist() == [[5, 7]]


def test_odd_strides_sample_a_flipped_map_at_the_flipped_cells():
    labels = torch.randint(0, 9, (21, 28))
    flipped = sample_at_cells(labels.flip(1), (3, 4))
    assert torch.equal(flipped, sample_at_cells(labels, (3, 4)).flip(1))


def test_resize_covers_the_extent_and_cuts_to_the_image():
    grid = torch.rand(3, 4, 5)
    full = F.interpolate(grid[None], size=(32, 40), mode='bilinear', align_corners=False)[0]
    assert torch.equal(resize_to_extent(grid, (32.0, 40.0), (32, 40)), full)
    assert torch.equal(resize_to_extent(grid, (32.0, 40.0), (27, 38)), full[:, :27, :38])
    assert torch.equal(resize_to_extent(grid, (4, 5), (4, 5)), grid)


def test_resize_never_gives_less_than_the_image():
    assert resize_to_extent(torch.rand(1, 3, 3), (9.4, 9.4), (10, 9)).shape == (1, 10, 9)
