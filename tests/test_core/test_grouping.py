import math

import pytest
import torch
from grouping_scenes import assign
from torch import Tensor

from mmseg_instbox.core import assignment, grouping
from mmseg_instbox.core.grouping import Candidates

IMAGE = (200, 300)


def random_boxes(num: int) -> Tensor:
    corner, size = torch.rand(num, 2) * 200, torch.rand(num, 2) * 80 + 5
    return torch.cat([corner, corner + size], dim=1)


def scalar_iou(a: list[float], b: list[float]) -> float:
    width = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (a, b)]
    return width * height / (sum(areas) - width * height)


def vote(boxes: Tensor, labels: Tensor, relative: bool = True, bin_size: float = 0.2) -> Candidates:
    keys = grouping.cast_votes(boxes, labels, IMAGE, bin_size, relative)
    return grouping.most_voted(grouping.find_maxima(keys, boxes), IMAGE, 1000)


def random_cells(grid_shape: tuple[int, int]) -> Tensor:
    """Places of some cells of a grid, in random order."""
    places = torch.randperm(math.prod(grid_shape))
    return places[:len(places) * 2 // 3]


@pytest.mark.parametrize('grid_shape', [(1, 1), (1, 7), (6, 1), (5, 8)])
def test_neighbours_by_loops(grid_shape):
    index = random_cells(grid_shape)
    around = grouping.neighbours(index, grid_shape)
    where = {divmod(place, grid_shape[1]): i for i, place in enumerate(index.tolist())}
    assert around.shape == (8, len(index))
    for i, (y, x) in enumerate(divmod(place, grid_shape[1]) for place in index.tolist()):
        expected = [where.get((y + dy, x + dx), len(index))
                    for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]
        assert sorted(around[:, i].tolist()) == sorted(expected)


@pytest.mark.parametrize('together', [4, 1 << 15])
def test_smooth_boxes_by_loops(monkeypatch, together):
    monkeypatch.setattr(grouping, '_CELLS', together)
    index = random_cells((5, 8))
    boxes, labels = random_boxes(len(index)), torch.randint(0, 2, (len(index), ))
    around = grouping.neighbours(index, (5, 8))
    smooth = grouping.smooth_boxes(boxes, labels, around)
    for i, box in enumerate(boxes.tolist()):
        near = [j for j in around[:, i].tolist() if j < len(index) and labels[j] == labels[i]]
        weights = [1.0] + [scalar_iou(box, boxes[j].tolist())**2 for j in near]
        total = sum(w * boxes[j] for w, j in zip(weights, [i, *near], strict=True))
        assert torch.allclose(smooth[i], total / sum(weights), rtol=1e-4)


def test_smoothing_leaves_objects_that_do_not_overlap_as_they_are():
    boxes = torch.tensor([[0., 0, 20, 10], [20, 0, 40, 10]]).repeat_interleave(3, dim=0)
    around = grouping.neighbours(torch.arange(6), (1, 6))
    assert torch.equal(grouping.smooth_boxes(boxes, torch.ones(6).long(), around), boxes)


@pytest.mark.parametrize('relative, votes', [(True, 2), (False, 1)])
def test_every_cell_casts_its_votes(relative, votes):
    boxes, labels = random_boxes(40), torch.randint(1, 4, (40, ))
    keys = grouping.cast_votes(boxes, labels, IMAGE, 0.2 if relative else 10, relative)
    assert keys.shape == (votes, 40) and keys.dtype == torch.int64


@pytest.mark.parametrize('relative', [True, False])
def test_categories_vote_apart(relative):
    boxes = random_boxes(1).repeat(2, 1)
    same = grouping.cast_votes(boxes, torch.tensor([1, 1]), IMAGE, 0.2, relative)
    apart = grouping.cast_votes(boxes, torch.tensor([1, 2]), IMAGE, 0.2, relative)
    assert len(same.unique()) * 2 == len(apart.unique())


def test_fixed_bins_are_pixels_from_the_images_centre():
    centres = torch.tensor([[150., 100], [159, 109], [161, 100], [149, 100]])
    boxes = torch.cat([centres - 20, centres + 20], dim=1)
    keys = grouping.cast_votes(boxes, torch.ones(4, dtype=torch.long), IMAGE, 10, False)[0]
    assert keys[0] == keys[1] and len(keys.unique()) == 3


@pytest.mark.parametrize('relative, bin_size', [(True, 0.37), (False, 7)])
def test_a_flipped_image_votes_in_flipped_bins(relative, bin_size):
    """Cells that share a bin still do after flipping, also where bins do not divide the image."""
    boxes, labels = random_boxes(120), torch.ones(120, dtype=torch.long)
    flipped = torch.stack([300 - boxes[:, 2], boxes[:, 1], 300 - boxes[:, 0], boxes[:, 3]], dim=1)
    keys, mirrored = (
        grouping.cast_votes(x, labels, IMAGE, bin_size, relative).flatten()
        for x in (boxes, flipped))
    same = keys[:, None] == keys[None]
    assert torch.equal(same, mirrored[:, None] == mirrored[None])
    assert same.sum() > len(keys)


def test_relative_bins_scale_with_the_boxes():
    """The same scene at twice the size votes in the same pattern."""
    boxes, labels = random_boxes(60), torch.ones(60, dtype=torch.long)
    small = grouping.cast_votes(boxes, labels, IMAGE, 0.4, True).flatten()
    large = grouping.cast_votes(boxes * 2, labels, (400, 600), 0.4, True).flatten()
    same = [keys[:, None] == keys[None] for keys in (small, large)]
    assert torch.equal(*same)
    assert same[0].sum() > len(small)  # some do share a bin


def test_boxes_of_unlike_size_do_not_share_a_bin():
    boxes = torch.tensor([[140., 90, 160, 110], [100, 50, 200, 150]])
    keys = grouping.cast_votes(boxes, torch.ones(2, dtype=torch.long), IMAGE, 0.2, True)
    assert len(keys.unique()) == 4


@pytest.mark.parametrize('relative, bin_size', [(True, 0.2), (False, 12)])
def test_golden_maxima(relative, bin_size):
    boxes = torch.tensor([[10., 10, 50, 60]] * 5 + [[150., 60, 200, 120]] * 2)
    found = vote(boxes, torch.tensor([2] * 5 + [3] * 2), relative, bin_size)
    kept = grouping.merge(found, 0.4)  # the two sizes next to a box each have a maximum
    assert torch.allclose(kept.boxes, boxes[[0, 5]])
    assert kept.labels.tolist() == [2, 3]
    assert kept.votes[0] / kept.votes[1] == 2.5
    assert torch.equal(found.votes, found.votes.sort(descending=True).values)


def test_a_maximum_has_the_mean_box_of_its_window():
    boxes = torch.tensor([[100., 100, 140, 140], [100, 100, 142, 138], [101, 100, 141, 140]])
    found = vote(boxes, torch.ones(3, dtype=torch.long), bin_size=1.0)
    assert torch.allclose(found.boxes[0], boxes.mean(dim=0), atol=1)
    assert ((found.boxes >= boxes.amin(0)) & (found.boxes <= boxes.amax(0))).all()


def run_functions(boxes: Tensor, labels: Tensor,
                  index: Tensor) -> tuple[Candidates, Tensor, Tensor]:
    """Smoothing, voting, merging, assigning and refining, as the grouper chains them."""
    boxes = grouping.smooth_boxes(boxes, labels, grouping.neighbours(index, (12, 30)))
    found = grouping.merge(vote(boxes, labels), 0.4)
    for _ in range(2):
        sizes = torch.full((len(found.labels), ), 30.)
        patches = assignment.find_patches(boxes, labels, index, (12, 30))
        agreement = assignment.find_agreement(boxes, found, patches)
        keep, owner, iou = assignment.assign(agreement, len(boxes), sizes, 0.1)
        found = grouping.refine(boxes, owner, iou, found.select(keep))
    return found, owner, iou


def test_the_order_of_the_cells_does_not_matter():
    centres = random_boxes(12).repeat_interleave(30, dim=0)
    noise = (torch.randn(360, 4) * 2).clamp(-2.4, 2.4)  # less than half of the smallest box
    boxes, labels = centres + noise, torch.arange(12).repeat_interleave(30) % 3
    order = torch.randperm(360)
    found, owner, iou = run_functions(boxes, labels, torch.arange(360))
    shuffled, shuffled_owner, shuffled_iou = run_functions(boxes[order], labels[order], order)
    assert len(found.labels) >= 8
    assert torch.allclose(found.boxes, shuffled.boxes, atol=1e-3)
    assert torch.equal(found.labels, shuffled.labels) and torch.equal(found.votes, shuffled.votes)
    assert torch.equal(owner[order], shuffled_owner)
    assert torch.allclose(iou[order], shuffled_iou, atol=1e-5)


def test_the_strongest_are_those_with_most_votes():
    found = Candidates(random_boxes(50), torch.arange(50), torch.rand(50))
    order = found.votes.argsort(descending=True)
    best = grouping.most_voted(found, IMAGE, 7)
    assert torch.equal(best.labels, order[:7]) and torch.equal(best.boxes, found.boxes[order[:7]])
    assert torch.equal(grouping.most_voted(found, IMAGE, 99).labels, order)


def test_a_flipped_image_has_the_same_order_among_equal_votes():
    found = Candidates(random_boxes(50), torch.arange(50), torch.ones(50))
    x1, y1, x2, y2 = found.boxes.T
    mirrored = found._replace(boxes=torch.stack([300 - x2, y1, 300 - x1, y2], dim=1))
    shuffle = torch.randperm(50)
    orders = [grouping.most_voted(each, IMAGE, 50).labels
              for each in (found, mirrored.select(shuffle))]
    assert torch.equal(*orders)


@pytest.mark.parametrize('rows', [13, 512])
@pytest.mark.parametrize('iou_thr', [0.0, 0.2, 0.5, 1.0])
def test_merge_is_greedy_suppression(monkeypatch, iou_thr, rows):
    monkeypatch.setattr(grouping, '_ROWS', rows)
    boxes, labels = random_boxes(150), torch.randint(0, 2, (150, ))
    votes = torch.rand(150).sort(descending=True).values
    kept = []
    for i, box in enumerate(boxes.tolist()):
        rivals = [boxes[j].tolist() for j in kept if labels[j] == labels[i]]
        if all(scalar_iou(box, rival) <= iou_thr for rival in rivals):
            kept.append(i)
    merged = grouping.merge(Candidates(boxes, labels, votes), iou_thr)
    assert torch.equal(merged.boxes, boxes[kept]) and torch.equal(merged.votes, votes[kept])
    assert (len(kept) == 150) == (iou_thr == 1)


def test_merge_follows_chains():
    """A suppresses B, so B does not suppress C, and so on."""
    x = torch.arange(7) * 10.0
    boxes = torch.stack([x, torch.zeros(7), x + 30, torch.full((7, ), 30.)], dim=1)
    found = Candidates(boxes, torch.zeros(7, dtype=torch.long), torch.ones(7))
    assert grouping.merge(found, 0.4).boxes[:, 0].tolist() == [0, 20, 40, 60]


def test_merge_of_nothing():
    empty = Candidates(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), torch.zeros(0))
    assert len(grouping.merge(empty, 0.4).labels) == 0


@pytest.mark.parametrize('share', [0.05, 0.3, 1])
def test_greedy_keep_by_loops(share):
    beats = torch.rand(40, 40) < share
    kept = []
    for j in range(40):
        if not any(beats[i, j] for i in kept):
            kept.append(j)
    later = beats.triu(diagonal=1).nonzero(as_tuple=True)
    assert grouping.greedy_keep(*later, 40).nonzero()[:, 0].tolist() == kept
    assert grouping.greedy_keep(*torch.zeros(2, 0, dtype=torch.long), 0).shape == (0, )


def test_candidates_without_cells_are_dropped_and_the_rest_numbered_anew():
    candidates = Candidates(random_boxes(4), torch.tensor([1, 2, 3, 4]), torch.rand(4))
    left, owner = grouping.drop_unowned(candidates, torch.tensor([3, -1, 1, 3]))
    assert left.labels.tolist() == [2, 4] and owner.tolist() == [1, -1, 0, 1]
    assert torch.equal(left.boxes, candidates.boxes[[1, 3]])
    left, owner = grouping.drop_unowned(candidates, torch.tensor([-1, -1]))
    assert len(left.labels) == 0 and owner.tolist() == [-1, -1]


def random_agreement(num: int = 12) -> tuple[Tensor, Tensor]:
    return (torch.rand(num, 60) - 0.3).clamp(min=0), torch.randint(1, 8, (num, )).float()


def test_a_cell_goes_to_the_candidate_that_agrees_best():
    iou, sizes = random_agreement(3)
    iou[:, 0] = 0
    keep, owner, best = assign(iou, sizes, 0)
    assert keep.tolist() == [0, 1, 2]
    for i, column in enumerate(iou.T.tolist()):
        assert best[i].item() == pytest.approx(max(column), abs=1e-6)
        assert owner[i] == (column.index(max(column)) if max(column) > 0 else -1)
    assert (owner == -1).any() and (owner >= 0).any()


def test_the_first_candidate_wins_among_equals():
    keep, owner, _ = assign(torch.full((3, 5), 0.5), torch.ones(3), 0)
    assert keep.tolist() == [0] and owner.tolist() == [0] * 5


def test_assign_without_candidates():
    keep, owner, iou = assign(torch.zeros(0, 3), torch.zeros(0), 0.1)
    assert keep.tolist() == [] and owner.tolist() == [-1] * 3 and iou.tolist() == [0] * 3


def total_agreement(iou: Tensor, candidates: list[int]) -> float:
    """How well the cells agree with the best of some candidates."""
    return sum(max((column[k] for k in candidates), default=0.0) for column in iou.T.tolist())


def worth(iou: Tensor, sizes: Tensor, candidates: list[int], k: int) -> float:
    """The agreement lost without candidate k, in sizes of its box."""
    others = [other for other in candidates if other != k]
    return (total_agreement(iou, candidates) - total_agreement(iou, others)) / sizes[k].item()


@pytest.mark.parametrize('min_gain', [0.0, 0.1, 0.5, 2.0, 100.0])
@pytest.mark.parametrize('num', [1, 4, 12, 40])
def test_every_candidate_that_is_kept_is_worth_it(num, min_gain):
    iou, sizes = random_agreement(num)
    keep, owner, _ = assign(iou, sizes, min_gain)
    keep = keep.tolist()
    assert keep == sorted(set(keep)) and set(owner[owner >= 0].tolist()) == set(range(len(keep)))
    assert all(worth(iou, sizes, keep, k) >= min_gain - 1e-5 for k in keep)
    assert len(keep) > 0 or min_gain > 1


def test_the_cells_go_to_those_that_are_kept():
    iou, sizes = random_agreement(30)
    keep, owner, best = assign(iou, sizes, 0.2)
    assert 1 < len(keep) < 30
    assert torch.allclose(best, iou[keep].amax(dim=0), atol=1e-6)
    assert torch.equal(owner, torch.where(best > 0, iou[keep].argmax(dim=0), -1))


def test_the_least_worth_is_dropped_first():
    # candidate 1 explains the cells of 0 a little worse; 2 has cells of its own
    iou = torch.tensor([[0.9, 0.8, 0.0]] * 10 + [[0.0, 0.0, 0.7]] * 5).T
    keep, owner, _ = assign(iou, torch.tensor([10., 10, 5]), 0.2)
    assert keep.tolist() == [0, 2] and owner.tolist() == [0] * 10 + [1] * 5


def test_what_is_dropped_is_explained_by_what_is_kept():
    """Two objects, two candidates each that explain them equally well: one of each pair stays."""
    iou = torch.tensor([[0.7, 0.7, 0, 0]] * 10 + [[0, 0, 0.71, 0.7]] * 10).T
    keep, _, _ = assign(iou, torch.full((4, ), 10.), 0.1)
    assert keep.tolist() == [0, 2]


@pytest.mark.parametrize('weighted', [True, False])
def test_owned_mean_by_loops(weighted):
    values, owner = torch.rand(50, 3), torch.randint(-1, 4, (50, ))
    weights = torch.rand(50) if weighted else None
    mean = grouping.owned_mean(values, owner, 6, weights)
    assert mean.shape == (6, 3) and mean.dtype == values.dtype
    for k in range(6):
        mine = [i for i in range(50) if owner[i] == k]
        if mine:
            total = sum(weights[i] if weighted else 1 for i in mine)
            expected = sum(values[i] * (weights[i] if weighted else 1) for i in mine) / total
            assert torch.allclose(mean[k], expected, atol=1e-6)
        else:
            assert k >= 4 and (mean[k] == 0).all()


def test_refine_moves_boxes_to_their_cells():
    boxes = torch.tensor([[0., 0, 10, 10], [2, 0, 12, 10], [50, 50, 60, 60]])
    found = Candidates(torch.tensor([[1., 1, 9, 9]]), torch.tensor([1]), torch.ones(1))
    owner, iou = torch.tensor([0, 0, -1]), torch.tensor([0.75, 0.25, 1])
    assert grouping.refine(boxes, owner, iou, found).boxes.tolist() == [[0.5, 0, 10.5, 10]]


def test_box_cells_counts_the_part_of_the_box_inside_the_image():
    boxes = torch.tensor([[0., 0, 40, 40], [-40, 0, 40, 40], [280, 180, 320, 220], [0, 0, 3, 3],
                          [-50, -50, -10, -10]])
    assert grouping.box_cells(boxes, 16, IMAGE).tolist() == [100, 100, 25, 1, 1]


def test_bins_of_far_away_boxes_stay_apart_from_other_categories():
    """An untrained network's centres lie anywhere; a bin index must not run into the next field."""
    far = torch.tensor([[1e7, -1e7, 1e7 + 10, -1e7 + 10], [-1e7, 1e7, -1e7 + 10, 1e7 + 10]])
    found = vote(far, torch.tensor([1, 2]))
    assert sorted(set(found.labels.tolist())) == [1, 2]
    assert all(math.isfinite(x) for x in found.boxes.flatten().tolist())
