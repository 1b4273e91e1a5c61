import numpy as np
import pytest
import torch
from mmseg.registry import TASK_UTILS

from mmseg_instbox.core.grouping import Candidates
from mmseg_instbox.visualization.candidates import (
    LOST_COLOR,
    draw_candidates,
    find_candidates,
    match_candidates,
)
from mmseg_instbox.visualization.vote_field import dim

SHAPE, GRID = (80, 120), (8, 12)
FIRST, SECOND = (10., 10., 50., 50.), (60., 20., 110., 60.)
RED, BLUE = (230, 25, 75), (0, 110, 220)


@pytest.fixture
def grouper():
    return TASK_UTILS.build(dict(type='PixelBoxGrouper'))


def scene():
    """Two objects of category 1 and 2 whose cells all have the box of their object."""
    scores, boxes = torch.zeros(3, *GRID), torch.zeros(4, *GRID)
    scores[0] = 1
    for category, box in ((1, FIRST), (2, SECOND)):
        x1, y1, x2, y2 = (round(side / 10) for side in box)
        scores[:, y1:y2, x1:x2] = torch.eye(3)[category][:, None, None]
        boxes[:, y1:y2, x1:x2] = torch.tensor(box)[:, None, None]
    return boxes, scores


def candidates(*boxes, labels=None, votes=None):
    return Candidates(
        torch.tensor(boxes, dtype=torch.float32).view(-1, 4),
        torch.tensor(labels or [1] * len(boxes)),
        torch.tensor(votes or [4.] * len(boxes)))


def find(grouper, boxes, scores):
    return find_candidates(grouper, boxes, scores, SHAPE, [1, 2], SHAPE)


def test_cells_that_agree_make_the_candidates(grouper):
    found = find(grouper, *scene())
    for category, box, num in ((1, FIRST, 16), (2, SECOND, 20)):
        best = found.labels.eq(category).nonzero()[0]  # the first has most votes
        assert torch.allclose(found.boxes[best], torch.tensor([box]), atol=1e-3)
        assert num / 4 <= found.votes[best] <= 2 * num
    assert (found.votes[1:] <= found.votes[:-1]).all()


def test_they_are_those_that_the_grouper_merges(grouper, monkeypatch):
    seen = []
    vote = grouper.vote
    monkeypatch.setattr(grouper, 'vote', lambda cells: seen.append(vote(cells)) or seen[-1])
    boxes, scores = scene()
    boxes = boxes + torch.randn(boxes.shape, generator=torch.Generator().manual_seed(0))
    found = find(grouper, boxes, scores)
    grouper(scores, boxes, SHAPE, [1, 2])
    assert len(seen) == 2
    for ours, theirs in zip(found, seen[1][1], strict=True):
        assert torch.equal(ours, theirs)


def test_without_things_there_are_none(grouper):
    boxes, scores = scene()
    scores = torch.eye(3)[0][:, None, None].expand(3, *GRID)
    found = find(grouper, boxes, scores)
    assert found.boxes.shape == (0, 4) and len(found.labels) == len(found.votes) == 0
    drawn = draw_candidates(np.full((*SHAPE, 3), 90, np.uint8), found,
                            match_candidates(found, np.zeros((0, 4)), np.zeros(0)),
                            np.zeros((0, 3), np.uint8))
    assert np.array_equal(drawn, dim(np.full((*SHAPE, 3), 90, np.uint8)))


def test_match_by_hand():
    found = candidates(FIRST, (10, 10, 50, 26), (10, 10, 50, 25), SECOND, SECOND,
                       labels=[1, 1, 1, 2, 1])
    owners = match_candidates(found, np.array([SECOND, FIRST]), np.array([2, 1]))
    # IoU 1, 0.4 and 0.375 with the first; the last has the place of the second, not its category
    assert owners.tolist() == [1, 1, -1, 0, -1]
    assert match_candidates(found, np.zeros((0, 4)), np.zeros(0)).tolist() == [-1] * 5


def drawn_colors(picture):
    return {tuple(color) for color in picture.reshape(-1, 3).tolist()}


def test_boxes_have_the_colour_of_their_instance_and_lost_ones_are_grey():
    image = np.full((*SHAPE, 3), 90, np.uint8)
    found = candidates(FIRST, SECOND, (2, 62, 32, 78))
    drawn = draw_candidates(image, found, np.array([1, 0, -1]), np.array([RED, BLUE], np.uint8),
                            with_labels=False)
    assert (drawn[10, 12:48] == BLUE).all() and (drawn[12:48, 49] == BLUE).all()
    assert (drawn[20, 62:108] == RED).all() and (drawn[30, 30] == BLUE).all()
    assert (drawn[62, 4:30] == LOST_COLOR).all()
    assert (image == 90).all()


def test_more_votes_make_a_larger_dot():
    image = np.full((300, 300, 3), 90, np.uint8)
    found = candidates((10, 10, 110, 110), (150, 150, 290, 290), votes=[100., 4.])
    drawn = draw_candidates(image, found, np.array([0, 1]), np.array([RED, BLUE], np.uint8),
                            with_labels=False)
    sizes = [(drawn[40:80, 40:80] == RED).all(-1).sum(), (drawn[200:240, 200:240] == BLUE)
             .all(-1).sum()]
    assert sizes[0] > 2 * sizes[1] > 0


def test_the_votes_of_the_strongest_are_written(monkeypatch):
    written = []
    monkeypatch.setattr('mmseg_instbox.visualization.candidates.draw_labels',
                        lambda canvas, boxes, texts, colors: written.extend(texts) or canvas)
    found = candidates(FIRST, FIRST, SECOND, SECOND, votes=[20.4, 9.0, 3.25, 2.])
    draw_candidates(np.full((*SHAPE, 3), 90, np.uint8), found, np.array([0, 0, 1, -1]),
                    np.array([RED, BLUE], np.uint8))
    assert written == ['20 votes', '3.2 votes']


def test_thousands_of_candidates_are_drawn_in_part():
    boxes = np.random.default_rng(0).uniform(0, 40, (3000, 4)) + (0, 0, 40, 40)
    found = candidates(*boxes.tolist())
    owners = np.full(3000, -1)
    drawn = draw_candidates(np.full((*SHAPE, 3), 90, np.uint8), found, owners,
                            np.zeros((0, 3), np.uint8))
    assert LOST_COLOR in drawn_colors(drawn)
    few = draw_candidates(np.full((*SHAPE, 3), 90, np.uint8), found.first(200), owners[:200],
                          np.zeros((0, 3), np.uint8))
    assert np.array_equal(drawn, few)
