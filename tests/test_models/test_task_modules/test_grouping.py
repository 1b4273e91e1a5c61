import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mmseg_instbox.models.task_modules import grouping
from mmseg_instbox.models.task_modules.grouping import Candidates

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
    keys, cells = grouping.cast_votes(boxes, labels, IMAGE, bin_size, relative)
    return grouping.find_maxima(keys, cells, boxes, labels)


@pytest.mark.parametrize('relative, votes', [(True, 2), (False, 1)])
def test_every_cell_casts_its_votes(relative, votes):
    boxes, labels = random_boxes(40), torch.randint(1, 4, (40, ))
    keys, cells = grouping.cast_votes(boxes, labels, IMAGE, 0.2 if relative else 10, relative)
    assert keys.shape == cells.shape == (40 * votes, ) and keys.dtype == torch.int64
    assert cells.bincount().tolist() == [votes] * 40


@pytest.mark.parametrize('relative', [True, False])
def test_categories_vote_apart(relative):
    boxes = random_boxes(1).repeat(2, 1)
    same, _ = grouping.cast_votes(boxes, torch.tensor([1, 1]), IMAGE, 0.2, relative)
    apart, _ = grouping.cast_votes(boxes, torch.tensor([1, 2]), IMAGE, 0.2, relative)
    assert len(same.unique()) * 2 == len(apart.unique())


def test_fixed_bins_are_pixels_from_the_images_centre():
    centres = torch.tensor([[150., 100], [159, 109], [161, 100], [149, 100]])
    boxes = torch.cat([centres - 20, centres + 20], dim=1)
    keys, _ = grouping.cast_votes(boxes, torch.ones(4, dtype=torch.long), IMAGE, 10, False)
    assert keys[0] == keys[1] and len(keys.unique()) == 3


@pytest.mark.parametrize('relative, bin_size', [(True, 0.37), (False, 7)])
def test_a_flipped_image_votes_in_flipped_bins(relative, bin_size):
    """Cells that share a bin still do after flipping, also where bins do not divide the image."""
    boxes, labels = random_boxes(120), torch.ones(120, dtype=torch.long)
    flipped = torch.stack([300 - boxes[:, 2], boxes[:, 1], 300 - boxes[:, 0], boxes[:, 3]], dim=1)
    keys, mirrored = (
        grouping.cast_votes(x, labels, IMAGE, bin_size, relative)[0] for x in (boxes, flipped))
    same = keys[:, None] == keys[None]
    assert torch.equal(same, mirrored[:, None] == mirrored[None])
    assert same.sum() > len(keys)


def test_relative_bins_scale_with_the_boxes():
    """The same scene at twice the size votes in the same pattern."""
    boxes, labels = random_boxes(60), torch.ones(60, dtype=torch.long)
    small, _ = grouping.cast_votes(boxes, labels, IMAGE, 0.4, True)
    large, _ = grouping.cast_votes(boxes * 2, labels, (400, 600), 0.4, True)
    same = [keys[:, None] == keys[None] for keys in (small, large)]
    assert torch.equal(*same)
    assert same[0].sum() > len(small)  # some do share a bin


def test_boxes_of_unlike_size_do_not_share_a_bin():
    boxes = torch.tensor([[140., 90, 160, 110], [100, 50, 200, 150]])
    keys, _ = grouping.cast_votes(boxes, torch.ones(2, dtype=torch.long), IMAGE, 0.2, True)
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


def run_functions(boxes: Tensor, labels: Tensor) -> tuple[Candidates, Tensor, Tensor]:
    """Voting, merging, assigning, refining and pruning, as the grouper chains them."""
    found = grouping.merge(vote(boxes, labels), 0.4)
    iou = grouping.agreement(boxes, labels, found)
    found = grouping.refine(boxes, *grouping.assign(iou), found)
    iou = grouping.agreement(boxes, labels, found)
    keep = grouping.prune(iou, torch.full((len(found.labels), ), 30.), 0.1)
    return found.select(keep), *grouping.assign(iou[:, keep])


def test_the_order_of_the_cells_does_not_matter():
    centres = random_boxes(12).repeat_interleave(30, dim=0)
    boxes, labels = centres + torch.randn(360, 4) * 2, torch.arange(12).repeat_interleave(30) % 3
    order = torch.randperm(360)
    found, owner, iou = run_functions(boxes, labels)
    shuffled, shuffled_owner, shuffled_iou = run_functions(boxes[order], labels[order])
    assert len(found.labels) >= 8
    assert torch.allclose(found.boxes, shuffled.boxes, atol=1e-3)
    assert torch.equal(found.labels, shuffled.labels) and torch.equal(found.votes, shuffled.votes)
    assert torch.equal(owner[order], shuffled_owner)
    assert torch.allclose(iou[order], shuffled_iou, atol=1e-5)


@pytest.mark.parametrize('iou_thr', [0.0, 0.2, 0.5, 1.0])
def test_merge_is_greedy_suppression(iou_thr):
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
    assert grouping.greedy_keep(beats).nonzero()[:, 0].tolist() == kept
    assert grouping.greedy_keep(beats[:0, :0]).shape == (0, )


def test_candidates_without_cells_are_dropped_and_the_rest_numbered_anew():
    candidates = Candidates(random_boxes(4), torch.tensor([1, 2, 3, 4]), torch.rand(4))
    left, owner = grouping.drop_unowned(candidates, torch.tensor([3, -1, 1, 3]))
    assert left.labels.tolist() == [2, 4] and owner.tolist() == [1, -1, 0, 1]
    assert torch.equal(left.boxes, candidates.boxes[[1, 3]])
    left, owner = grouping.drop_unowned(candidates, torch.tensor([-1, -1]))
    assert len(left.labels) == 0 and owner.tolist() == [-1, -1]


def test_a_cell_goes_to_the_best_candidate_of_its_category():
    boxes, labels = random_boxes(80), torch.randint(0, 3, (80, ))
    found = Candidates(random_boxes(9), torch.arange(9) % 3, torch.ones(9))
    agreement = grouping.agreement(boxes, labels, found)
    owner, iou = grouping.assign(agreement)
    for i in range(80):
        box = boxes[i].tolist()
        ious = [
            scalar_iou(box, found.boxes[k].tolist()) if found.labels[k] == labels[i] else 0
            for k in range(9)
        ]
        assert agreement[i].tolist() == pytest.approx(ious, abs=1e-5)
        assert iou[i].item() == pytest.approx(max(ious), abs=1e-5)
        assert owner[i] == (ious.index(max(ious)) if max(ious) > 0 else -1)
    assert (owner == -1).any() and (owner >= 0).any()


def test_assign_without_candidates():
    empty = Candidates(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), torch.zeros(0))
    agreement = grouping.agreement(random_boxes(3), torch.ones(3, dtype=torch.long), empty)
    owner, iou = grouping.assign(agreement)
    assert owner.tolist() == [-1] * 3 and iou.tolist() == [0] * 3


def total_agreement(iou: Tensor, candidates: list[int]) -> float:
    """How well the cells agree with the best of some candidates."""
    return sum(max((row[k] for k in candidates), default=0.0) for row in iou.tolist())


def worth(iou: Tensor, sizes: Tensor, candidates: list[int], k: int) -> float:
    """The agreement lost without candidate k, in sizes of its box."""
    others = [other for other in candidates if other != k]
    return (total_agreement(iou, candidates) - total_agreement(iou, others)) / sizes[k].item()


def random_agreement(num: int = 12) -> tuple[Tensor, Tensor]:
    return (torch.rand(60, num) - 0.3).clamp(min=0), torch.randint(1, 8, (num, )).float()


@pytest.mark.parametrize('min_gain', [0.0, 0.1, 0.5, 2.0, 100.0])
def test_every_candidate_that_prune_keeps_is_worth_it(min_gain):
    iou, sizes = random_agreement()
    keep = grouping.prune(iou, sizes, min_gain).tolist()
    assert keep == sorted(set(keep))
    assert all(worth(iou, sizes, keep, k) >= min_gain - 1e-5 for k in keep)
    assert (len(keep) == 12) == (min_gain == 0) and (len(keep) == 0) == (min_gain == 100)


def test_prune_drops_the_least_worth_first():
    # candidate 1 explains the cells of 0 a little worse; 2 has cells of its own
    iou = torch.tensor([[0.9, 0.8, 0.0]] * 10 + [[0.0, 0.0, 0.7]] * 5)
    assert grouping.prune(iou, torch.tensor([10., 10, 5]), 0.2).tolist() == [0, 2]


def test_prune_of_nothing():
    assert grouping.prune(torch.zeros(5, 0), torch.zeros(0), 0.1).tolist() == []


def test_what_prune_drops_is_explained_by_what_it_keeps():
    """Two objects, two candidates each that explain them equally well: one of each pair stays."""
    iou = torch.tensor([[0.7, 0.7, 0, 0]] * 10 + [[0, 0, 0.71, 0.7]] * 10)
    keep = grouping.prune(iou, torch.full((4, ), 10.), 0.1)
    assert (iou[:, keep].amax(dim=1) > 0.6).all()


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


def test_refine_moves_boxes_to_their_cells_and_leaves_the_others():
    boxes = torch.tensor([[0., 0, 10, 10], [2, 0, 12, 10], [50, 50, 60, 60]])
    before = torch.tensor([[1., 1, 9, 9], [7, 7, 8, 8]])
    found = Candidates(before, torch.tensor([1, 1]), torch.ones(2))
    owner, iou = torch.tensor([0, 0, -1]), torch.tensor([0.75, 0.25, 1])
    refined = grouping.refine(boxes, owner, iou, found)
    assert refined.boxes.tolist() == [[0.5, 0, 10.5, 10], [7, 7, 8, 8]]
    assert refined.votes.tolist() == [2, 0]


def test_box_cells_counts_the_part_of_the_box_inside_the_image():
    boxes = torch.tensor([[0., 0, 40, 40], [-40, 0, 40, 40], [280, 180, 320, 220], [0, 0, 3, 3],
                          [-50, -50, -10, -10]])
    assert grouping.box_cells(boxes, 16, IMAGE).tolist() == [100, 100, 25, 1, 1]


@pytest.mark.parametrize('size, cells, extent', [
    (32, 4, 32), (30, 4, 32), (33, 5, 40), (7, 1, 8), (5, 5, 5), (6, 13, 6)])
def test_interpolation_matrix_is_torchs_interpolation(size, cells, extent):
    matrix = grouping.interpolation_matrix(size, cells, extent, 'cpu')
    values = torch.randn(1, 1, cells)
    expected = F.interpolate(values, size=extent, mode='linear', align_corners=False)[0, 0, :size]
    assert torch.allclose(matrix @ values[0, 0], expected, atol=1e-5)
    assert torch.allclose(matrix.sum(dim=1), torch.ones(size), atol=1e-5)


def paint_masks(owners, labels, seg_map, extent):
    instance = grouping.paint(owners, labels, seg_map, extent)
    assert instance.shape == seg_map.shape and instance.dtype == torch.int64
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


def test_paint_of_a_picture_smaller_than_its_grid():
    """A tiny picture that was enlarged for the network has many cells a pixel."""
    owners = torch.full((64, 64), -1)
    owners[32, 32], owners[40:60, 40:60] = 0, 1
    seg_map = torch.ones(4, 4, dtype=torch.long)
    masks = paint_masks(owners, torch.tensor([1, 1]), seg_map, (4, 4))
    assert masks.shape == (2, 4, 4) and masks[1].any()


def test_instance_boxes_by_loops():
    instance = torch.where(torch.rand(13, 17) < 0.3, torch.randint(0, 22, (13, 17)) - 1, -1)
    instance[instance > 19] = -1
    boxes = grouping.instance_boxes(instance, 20)
    assert boxes.dtype == torch.float32
    for k, box in enumerate(boxes.tolist()):
        ys, xs = (instance == k).nonzero().T.tolist()
        if ys:
            assert box == [min(xs), min(ys), max(xs) + 1, max(ys) + 1]
        else:
            assert box[0] == box[2] and box[1] == box[3]
    assert grouping.instance_boxes(instance.fill_(-1), 0).shape == (0, 4)


def test_bins_of_far_away_boxes_stay_apart_from_other_categories():
    """An untrained network's centres lie anywhere; a bin index must not run into the next field."""
    far = torch.tensor([[1e7, -1e7, 1e7 + 10, -1e7 + 10], [-1e7, 1e7, -1e7 + 10, 1e7 + 10]])
    found = vote(far, torch.tensor([1, 2]))
    assert sorted(set(found.labels.tolist())) == [1, 2]
    assert all(math.isfinite(x) for x in found.boxes.flatten().tolist())
