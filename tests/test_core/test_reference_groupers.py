"""The groupers to compare with: NMS over all boxes, and grouping by centres."""
import pytest
import torch
from grouping_scenes import THING_IDS, best_ious, check, perfect_output, random_crowd, scene
from scipy.ndimage import gaussian_filter
from torch import Tensor

from mmseg_instbox.core.base_grouper import Cells
from mmseg_instbox.core.box_iou import box_iou
from mmseg_instbox.core.reference_groupers import (
    centre_heat,
    find_peaks,
    grid_centres,
    nearest_peak,
    region_iou,
    suppress_boxes,
)
from mmseg_instbox.models import BoxNMSGrouper, CentreGrouper, PixelBoxGrouper


def random_cells(num: int = 60) -> Cells:
    corner, size = torch.rand(num, 2) * 40, torch.rand(num, 2) * 40 + 10
    boxes = torch.cat([corner, corner + size], dim=1)
    return Cells(boxes, torch.randint(1, 3, (num, )), torch.rand(num), torch.arange(num),
                 (90, 90), (6, 10), (90, 90))


def chain() -> tuple[Tensor, Tensor, Tensor]:
    """Eight boxes in a row: A, six that lie 3 to its right, and B 4 to its right.

    A suppresses the six (IoU 7 / 13) but not B (6 / 14); B agrees with the six (9 / 11).
    """
    shift = torch.tensor([0., 3, 3, 3, 3, 3, 3, 4])
    boxes = torch.stack([shift, shift * 0, shift + 10, shift * 0 + 10], dim=1)
    prob = torch.tensor([0.9, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.8])
    return boxes, torch.ones(8, dtype=torch.long), prob


def test_a_network_of_low_precision_does_not_make_grouping_so():
    """In bfloat16 a centre is no higher than its neighbours, which would be objects, too."""
    seg, inst = scene((1, 20, 20, 240, 236), (2, 250, 20, 300, 236), size=(256, 320))
    torch.manual_seed(0)
    output = (*perfect_output(seg, inst, 2, noise=3), tuple(seg.shape), THING_IDS)
    with torch.autocast('cpu', torch.bfloat16):
        assert len(CentreGrouper()(*output)) == 2


@pytest.mark.parametrize('iou_thr', [0.1, 0.3, 0.5])
def test_suppression_by_loops(iou_thr):
    boxes, labels, prob, *_ = random_cells()
    order = sorted(range(60), key=lambda i: -prob[i])
    kept = []
    for i in order:
        if not any(labels[i] == labels[k] and box_iou(boxes[i], boxes[k]) > iou_thr for k in kept):
            kept.append(i)
    survivors, regions = suppress_boxes(boxes, labels, prob, iou_thr)
    assert survivors.tolist() == kept and 2 < len(kept) < 60
    for survivor, region in zip(kept, regions, strict=True):
        same = labels == labels[survivor]
        expected = same & (box_iou(boxes, boxes[survivor]) > iou_thr)
        expected[survivor] = True
        assert torch.equal(region, expected)
    assert regions.any(dim=0).all()


def test_equal_probabilities_keep_the_order_of_the_cells():
    boxes, labels, prob = chain()
    survivors, _ = suppress_boxes(boxes, labels, torch.ones(8), 0.5)
    assert survivors.tolist() == [0, 7]
    survivors, _ = suppress_boxes(boxes, labels, prob.clamp(max=0.5), 0.5)
    assert survivors.tolist() == [0, 7]
    survivors, regions = suppress_boxes(boxes, labels, -prob, 0.5)
    assert survivors.tolist() == [1] and regions.all()


def test_regions_may_share_cells():
    boxes, labels, prob = chain()
    survivors, regions = suppress_boxes(boxes, labels, prob, 0.5)
    assert survivors.tolist() == [0, 7]
    assert regions.int().tolist() == [[1, 1, 1, 1, 1, 1, 1, 0], [0, 1, 1, 1, 1, 1, 1, 1]]
    assert region_iou(regions).tolist() == [[1, 0.75], [0.75, 1]]


@pytest.mark.parametrize('region_iou_thr, owner', [(0.7, [0] * 7 + [-1]), (0.8, [0] * 7 + [1])])
def test_of_regions_that_overlap_much_the_first_is_kept(region_iou_thr, owner):
    cells = Cells(*chain(), torch.arange(8), (20, 20), (2, 4), (20, 20))
    found, owners, iou = BoxNMSGrouper(region_iou_thr=region_iou_thr)._group(cells)
    assert owners.tolist() == owner and len(found.labels) == max(owner) + 1
    assert iou[:7].tolist() == pytest.approx([1] + [7 / 13] * 6)


def test_categories_do_not_suppress_each_other():
    boxes, _, prob = chain()
    survivors, _ = suppress_boxes(boxes[[1, 2]], torch.tensor([1, 2]), prob[[1, 2]], 0.5)
    assert survivors.tolist() == [0, 1]


@pytest.mark.parametrize('region_iou_thr', [0.3, 0.6, 1])
def test_every_survivor_owns_its_cell_and_owners_agree(region_iou_thr):
    cells = random_cells()
    found, owner, iou = BoxNMSGrouper(0.4, region_iou_thr)._group(cells)
    assert owner[owner >= 0].unique().tolist() == list(range(len(found.labels)))
    owned = owner >= 0
    assert torch.equal(found.labels[owner[owned]], cells.labels[owned])
    assert torch.equal(iou[owned], box_iou(cells.boxes, found.boxes[owner])[owned])
    assert (iou[owned] > 0.4).all()
    if region_iou_thr == 1:  # without region NMS every cell has an owner
        assert owned.all()


@pytest.mark.parametrize('seed', range(3))
def test_undisturbed_boxes_are_grouped_perfectly(seed):
    seg, inst = random_crowd(seed, num=5)
    output = perfect_output(seg, inst, 2)
    result = BoxNMSGrouper(box_iou_thr=0.95)(*output, (64, 96), THING_IDS, seg_map=seg)
    check(result, (64, 96))
    assert len(result) == 5 and min(best_ious(inst, result)) > 0.9


def test_noise_breaks_an_object_into_pieces():
    """Why it is here to compare with: survivors multiply."""
    seg, inst = scene((1, 8, 8, 88, 56))
    probs, boxes = perfect_output(seg, inst, 4, noise=12)
    result = BoxNMSGrouper()(probs, boxes, (64, 96), THING_IDS, seg_map=seg)
    check(result, (64, 96))
    assert len(result) > 3 and result.masks.sum(dim=(1, 2)).max() < (inst > 0).sum()


@pytest.mark.parametrize('arguments', [dict(box_iou_thr=1.1), dict(region_iou_thr=-0.1)])
def test_thresholds_out_of_range_are_refused(arguments):
    with pytest.raises(ValueError, match='BoxNMSGrouper needs'):
        BoxNMSGrouper(**arguments)


def test_centres_are_counted_in_cells_of_the_extent():
    boxes = torch.tensor([[0., 0, 16, 8], [-90, 10, -10, 30], [70, 90, 90, 110]])
    cells = Cells(
        boxes, torch.ones(3), torch.ones(3), torch.arange(3), (30, 70), (4, 10), (32., 80.))
    assert grid_centres(cells).tolist() == [[1, 0.5], [0, 2.5], [10, 4]]


@pytest.mark.parametrize('sigma', [1, 2])
def test_heat_is_the_blurred_count_of_centres(sigma):
    centres = torch.rand(50, 2) * torch.tensor([12., 9])
    centres[0] = torch.tensor([12., 9])  # on the edge: the last cell
    which = torch.randint(0, 2, (50, ))
    counts = torch.zeros(2, 9, 12, dtype=torch.float64)
    for (x, y), m in zip(centres.tolist(), which.tolist(), strict=True):
        counts[m, min(int(y), 8), min(int(x), 11)] += 1
    heat = centre_heat(centres, which, (2, 9, 12), sigma)
    for counted, blurred in zip(counts.numpy(), heat.numpy(), strict=True):
        expected = gaussian_filter(counted, sigma, mode='constant', truncate=3)
        assert blurred == pytest.approx(expected, abs=1e-5)


def test_height_of_a_centre_on_which_cells_agree():
    heat = centre_heat(torch.full((40, 2), 10.5), torch.zeros(40, dtype=torch.long), (1, 21, 21), 2)
    assert heat.max() == heat[0, 10, 10] == pytest.approx(40 / (2 * torch.pi * 4), rel=0.02)


def test_golden_peaks():
    heat = torch.zeros(2, 5, 7)
    heat[0, 0, 0], heat[0, 2, 2], heat[0, 2, 4] = 5, 2, 1
    heat[1, 4, 6], heat[1, 3, 6], heat[1, 0, 3] = 3, 3, 0.4  # a plateau, and one that is too low
    expected = [[0, 0, 0], [1, 3, 6], [1, 4, 6], [0, 2, 2], [0, 2, 4]]
    assert find_peaks(heat, 3, 0.5, 200).tolist() == expected
    assert find_peaks(heat, 3, 0.5, 2).tolist() == expected[:2]
    assert find_peaks(heat, 5, 0.5, 200).tolist() == expected[:3]
    assert find_peaks(heat, 3, 6, 200).shape == (0, 3)


def test_nearest_peak_by_loops():
    centres, which = torch.rand(40, 2) * 10, torch.randint(0, 3, (40, ))
    peaks = torch.cat([torch.randint(0, 2, (9, 1)), torch.randint(0, 10, (9, 2))], dim=1)
    owner = nearest_peak(centres, which, peaks)
    for (x, y), m, found in zip(centres.tolist(), which.tolist(), owner.tolist(), strict=True):
        distance = [(x - col - 0.5)**2 + (y - row - 0.5)**2 if k == m else float('inf')
                    for k, row, col in peaks.tolist()]
        assert found == (-1 if m == 2 else distance.index(min(distance)))


def test_objects_with_one_centre_become_one():
    """What the boxes' sizes add: the reference cannot tell concentric objects apart."""
    seg, inst = scene((1, 8, 0, 88, 64), (1, 32, 16, 64, 48))
    output = perfect_output(seg, inst, 4)
    assert len(CentreGrouper()(*output, (64, 96), THING_IDS)) == 1
    assert len(PixelBoxGrouper()(*output, (64, 96), THING_IDS)) == 2


def test_a_category_without_a_centre_has_no_instances():
    seg, inst = scene((1, 8, 8, 40, 48), (2, 64, 8, 80, 24))
    output = perfect_output(seg, inst, 8)  # 20 cells and 4
    result = CentreGrouper(sigma=1, min_votes=1)(*output, (64, 96), THING_IDS, seg_map=seg)
    check(result, (64, 96))
    assert result.labels.tolist() == [0]
    assert len(CentreGrouper(min_votes=100)(*output, (64, 96), THING_IDS)) == 0


def test_only_the_highest_centres_are_kept():
    seg, inst = scene((1, 8, 8, 40, 48), (1, 64, 8, 80, 24))
    result = CentreGrouper(max_centres=1)(*perfect_output(seg, inst, 8), (64, 96), THING_IDS)
    assert len(result) == 1 and result.bboxes[0, 2] > 70  # the first centre takes all cells


@pytest.mark.parametrize('seed', [0, 1, 2])
def test_noisy_boxes_still_group(seed):
    torch.manual_seed(seed)
    seg, inst = scene((1, 8, 8, 40, 48), (1, 40, 8, 72, 48), (2, 0, 48, 88, 64))
    probs, boxes = perfect_output(seg, inst, 4, noise=2)
    result = CentreGrouper()(probs, boxes, (64, 96), THING_IDS, seg_map=seg)
    check(result, (64, 96))
    assert len(result) == 3 and min(best_ious(inst, result)) > 0.95


@pytest.mark.parametrize('arguments', [
    dict(sigma=0), dict(kernel=4), dict(min_votes=0), dict(max_centres=0)])
def test_numbers_out_of_range_are_refused(arguments):
    with pytest.raises(ValueError, match='CentreGrouper needs'):
        CentreGrouper(**arguments)
