"""Which boxes of cells and candidates agree, found in patches of cells."""
import pytest
import torch

from mmseg_instbox.core import assignment
from mmseg_instbox.core.box_iou import box_iou
from mmseg_instbox.core.grouping import Candidates
from mmseg_instbox.core.pixel_box_grouper import PixelBoxGrouper

GRID = (70, 90)


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
@pytest.mark.parametrize('side, rows', [(16, 1024), (32, 7), (1000, 1024)])
def test_agreement_is_the_iou_within_a_category(monkeypatch, side, rows, num, scale):
    torch.manual_seed(num)
    monkeypatch.setattr(assignment, '_SIDE', side)
    monkeypatch.setattr(assignment, '_ROWS', rows)
    boxes, labels, index = random_cells(scale)
    candidates = random_candidates(num)
    compared = []
    monkeypatch.setattr(assignment, 'box_iou',
                        lambda *pair: compared.append(len(pair[0])) or box_iou(*pair))
    patches = assignment.find_patches(boxes, labels, index, GRID)
    agreement = assignment.find_agreement(boxes, candidates, patches)
    assert torch.equal(patches.cells.sort().values, torch.arange(len(boxes)))
    expected = box_iou(candidates.boxes[:, None], boxes[None])
    expected = expected * (candidates.labels[:, None] == labels)
    table = torch.zeros_like(expected)
    table[agreement.candidates, agreement.cells] = agreement.iou
    assert torch.equal(table, expected) and (agreement.iou > 0).all()
    assert len(agreement.iou) == (expected > 0).sum()  # each pair once
    if side == 16 and scale == 40 and num:
        assert sum(compared) < table.numel() / 8


def test_patches_do_not_change_the_groups(monkeypatch):
    torch.manual_seed(0)
    boxes, labels, index = random_cells(40)
    field = torch.zeros(4, GRID[0] * GRID[1])
    probs = torch.zeros(4, GRID[0] * GRID[1])
    probs[0] = 0.5
    field[:, index], probs[labels + 1, index] = boxes.T, 0.9
    arguments = (probs.view(4, *GRID), field.view(4, *GRID), (560, 720), [1, 2, 3], (560, 720))
    grouper = PixelBoxGrouper(min_gain=0.01)
    whole = grouper.group_cells(*arguments)
    monkeypatch.setattr(assignment, '_SIDE', 5)
    monkeypatch.setattr(assignment, '_ROWS', 30)
    again = grouper.group_cells(*arguments)
    assert len(whole.scores) > 20
    assert torch.equal(whole.owners, again.owners) and torch.equal(whole.scores, again.scores)
