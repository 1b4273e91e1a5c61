import pytest
import torch
import torch.nn.functional as F

from mmseg_instbox.core import painting
from mmseg_instbox.core.feature_grid import resize_to_extent


@pytest.mark.parametrize('size, cells, extent', [
    (32, 4, 32), (30, 4, 32), (33, 5, 40), (7, 1, 8), (5, 5, 5), (6, 13, 6)])
def test_pixels_lie_between_cells_as_in_torchs_interpolation(size, cells, extent):
    low, high, share = painting.between_cells(size, cells, extent, 'cpu')
    values = torch.randn(1, 1, cells)
    expected = F.interpolate(values, size=extent, mode='linear', align_corners=False)[0, 0, :size]
    mine = values[0, 0, low] * (1 - share) + values[0, 0, high] * share
    assert torch.allclose(mine, expected, atol=1e-5)


def paint_masks(owners, labels, seg_map, extent):
    instance = painting.paint(owners, labels, seg_map, extent)
    assert instance.shape == seg_map.shape and not instance.is_floating_point()
    assert instance.min() >= 0 and instance.max() <= len(labels)
    return instance[None] == torch.arange(len(labels))[:, None, None]


def test_paint_keeps_to_the_category_and_never_overlaps():
    owners = torch.randint(-1, 3, (6, 8))
    labels, seg_map = torch.tensor([1, 1, 2]), torch.randint(0, 3, (48, 64))
    masks = paint_masks(owners, labels, seg_map, (48, 64))
    for mask, label in zip(masks, labels, strict=True):
        assert mask.any() and (seg_map[mask] == label).all()


def test_paint_gives_each_pixel_to_the_instance_of_its_cell():
    owners = torch.tensor([[0, 0, 1, 1]]).repeat(3, 1)
    seg_map = torch.ones(24, 32, dtype=torch.long)
    masks = paint_masks(owners, torch.tensor([1, 1]), seg_map, (24, 32))
    assert masks[0, :, :16].all() and masks[1, :, 16:].all() and masks.sum() == 24 * 32


def test_paint_reaches_the_categorys_rim():
    """Pixels of the category far outside the owned cells go to the instance beside them."""
    owners = torch.full((4, 4), -1)
    owners[1:3, 1:3] = 0
    seg_map = torch.zeros(32, 32, dtype=torch.long)
    seg_map[1:30, 2:31] = 1
    masks = paint_masks(owners, torch.tensor([1]), seg_map, (32, 32))
    assert torch.equal(masks[0], seg_map == 1)


def interpolate_owner(owners, k, size):
    """Weight of instance k at each pixel."""
    own = (owners == k).float()[None, None]
    return F.interpolate(own, size=size, mode='bilinear', align_corners=False)[0, 0]


@pytest.mark.parametrize('seed', range(3))
def test_paint_takes_the_instance_of_most_weight(seed):
    torch.manual_seed(seed)
    owners = torch.randint(-1, 5, (5, 7))
    labels, seg_map = torch.tensor([1, 2, 1, 2, 1]), torch.randint(0, 3, (33, 52))
    masks = paint_masks(owners, labels, seg_map, (33, 52))
    weight = torch.stack([interpolate_owner(owners, k, (33, 52)) for k in range(5)])
    weight = weight * (labels[:, None, None] == seg_map)
    clear = weight.sort(dim=0, descending=True).values
    clear = clear[0] > clear[1] + 1e-5  # no tie
    assert clear.sum() > 500
    assert torch.equal(masks[:, clear], weight.argmax(dim=0)[clear] == torch.arange(5)[:, None])


def test_pixels_between_cells_of_others_go_to_the_nearest_cell_around():
    """A thin part whose category no cell centre hits, between an instance above and one below."""
    owners = torch.full((6, 2), -1)
    owners[1], owners[4] = 0, 1
    seg_map = torch.zeros(48, 16, dtype=torch.long)
    seg_map[8:40, 3] = 1
    masks = paint_masks(owners, torch.tensor([1, 1]), seg_map, (48, 16))
    assert masks[0].nonzero().tolist() == [[y, 3] for y in range(8, 24)]
    assert masks[1].nonzero().tolist() == [[y, 3] for y in range(24, 40)]


def test_paint_of_a_picture_smaller_than_its_grid():
    """A tiny picture that was enlarged for the network has many cells a pixel."""
    owners = torch.full((64, 64), -1)
    owners[32, 32], owners[40:60, 40:60] = 0, 1
    seg_map = torch.ones(4, 4, dtype=torch.long)
    masks = paint_masks(owners, torch.tensor([1, 1]), seg_map, (4, 4))
    assert masks.shape == (2, 4, 4) and masks[1].any()


@pytest.mark.parametrize('grid, extent, size', [
    ((6, 9), (48, 72), (48, 72)), ((6, 9), (48, 72), (41, 67)), ((5, 4), (19.6, 33.2), (19, 30)),
    ((32, 32), (9, 9), (9, 9)), ((1, 1), (8, 8), (7, 8)), ((20, 30), (160, 240), (150, 239))])
@pytest.mark.parametrize('chunk', [999, 2**18])
@pytest.mark.parametrize('smooth', [False, True])
def test_best_categories_are_those_of_the_interpolated_logits(grid, extent, size, chunk, smooth,
                                                              monkeypatch):
    monkeypatch.setattr(painting, '_CHUNK', chunk)
    logits = torch.randn(5, *grid)
    if smooth:  # regions of one category, as a network gives them
        logits = F.interpolate(torch.randn(1, 5, 3, 3), grid, mode='bilinear')[0]
    full = resize_to_extent(logits, extent, size)
    best = painting.best_categories(logits, extent, size)
    assert best.dtype == torch.int64 and best.shape == size
    chosen = full.gather(0, best[None])[0]
    assert torch.allclose(chosen, full.amax(dim=0), atol=1e-5)
    first, second = full.topk(2, dim=0).values
    clear = first > second + 1e-5
    assert clear.float().mean() > 0.99 and torch.equal(best[clear], full.argmax(0)[clear])


def test_paint_in_parts_is_paint_at_once(monkeypatch):
    owners = torch.randint(-1, 5, (6, 8))
    labels, seg_map = torch.tensor([1, 2, 1, 2, 1]), torch.randint(0, 3, (48, 64))
    whole = painting.paint(owners, labels, seg_map, (48, 64))
    monkeypatch.setattr(painting, '_CHUNK', 7)
    assert torch.equal(painting.paint(owners, labels, seg_map, (48, 64)), whole)


def test_categories_that_are_best_at_no_cell_can_be_best_between_them():
    """Second at both cells; and one that is nowhere near, beside unsound numbers."""
    logits = torch.tensor([[4., 0], [3, 3], [0, 4], [-9, -9]])[:, None]
    found = painting.best_categories(logits, (8, 16), (8, 16))
    assert found[4].tolist() == [0] * 6 + [1] * 4 + [2] * 6
    logits[:, :, 0] = torch.nan
    assert painting.best_categories(logits, (8, 16), (8, 16)).shape == (8, 16)
