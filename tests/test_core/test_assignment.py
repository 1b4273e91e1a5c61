"""Assigning in blocks of cells gives what the whole table gives."""
import pytest
import torch
from grouping_scenes import assign

from mmseg_instbox.core import assignment
from mmseg_instbox.core.grouping import Candidates
from mmseg_instbox.core.pixel_box_grouper import PixelBoxGrouper

GRID = (70, 90)


@pytest.fixture
def in_blocks(monkeypatch):
    """A function that makes all tables blocks of 16 x 16 cells."""

    def start():
        monkeypatch.setattr(assignment, '_TOGETHER', 0)
        monkeypatch.setattr(assignment, '_SIDE', 16)

    return start


def random_cells(scale):
    index = (torch.rand(GRID) < 0.7).flatten().nonzero()[:, 0]
    centre = torch.stack([index % GRID[1], index // GRID[1]], dim=1) * 8. + 4
    half = torch.rand(len(index), 2) * scale + 5
    return torch.cat([centre - half, centre + half], dim=1), torch.randint(0, 3, index.shape), index


def random_candidates(num):
    centre, half = torch.rand(num, 2) * torch.tensor([720., 560.]), torch.rand(num, 2) * 60 + 5
    boxes = torch.cat([centre - half, centre + half], dim=1)
    return Candidates(boxes, torch.randint(0, 4, (num, )), torch.ones(num))


@pytest.mark.parametrize('scale', [40, 400])  # of boxes: few candidates near, or most of them
@pytest.mark.parametrize('num', [0, 1, 60])
def test_blocks_are_the_table_and_give_its_result(in_blocks, num, scale):
    torch.manual_seed(num)
    boxes, labels, index = random_cells(scale)
    candidates, sizes = random_candidates(num), torch.randint(5, 50, (num, )).float()
    table = assignment.agreement(boxes, labels, candidates)
    whole, = assignment.agreement_blocks(boxes, labels, candidates, index, GRID)
    assert torch.equal(whole.iou, table)
    in_blocks()
    blocks = list(assignment.agreement_blocks(boxes, labels, candidates, index, GRID))
    again = torch.zeros_like(table)
    for block in blocks:
        again[block.candidates[:, None], block.cells] = block.iou
    assert torch.equal(again, table)
    assert torch.cat([block.cells for block in blocks]).sort().values.equal(
        torch.arange(len(boxes))) and len(blocks) == (30 if num else 1)
    if scale == 40 and num:
        assert sum(block.iou.numel() for block in blocks) < table.numel() / 4
    expected = assign(table, sizes, 0.15)
    found = assignment.assign_blocks(blocks, len(boxes), sizes, 0.15)
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))
    assert num < 60 or len(expected[0]) > 1


def test_a_large_picture_is_grouped_as_in_one_table(in_blocks):
    torch.manual_seed(0)
    boxes, labels, index = random_cells(40)
    field = torch.zeros(4, GRID[0] * GRID[1])
    probs = torch.zeros(4, GRID[0] * GRID[1])
    probs[0] = 0.5
    field[:, index], probs[labels + 1, index] = boxes.T, 0.9
    arguments = (probs.view(4, *GRID), field.view(4, *GRID), (560, 720), [1, 2, 3], (560, 720))
    grouper = PixelBoxGrouper(min_gain=0.01)
    whole = grouper.group_cells(*arguments)
    in_blocks()
    blocks = grouper.group_cells(*arguments)
    assert len(whole.scores) > 20
    assert torch.equal(whole.owners, blocks.owners) and torch.equal(whole.scores, blocks.scores)
