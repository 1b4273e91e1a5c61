import pytest
import torch
from grouping_scenes import THING_IDS, best_ious, check, perfect_output, scene
from scipy.ndimage import gaussian_filter

from mmseg_instbox.core.base_grouper import Cells
from mmseg_instbox.core.centre_grouper import (
    centre_heat,
    find_peaks,
    grid_centres,
    nearest_peak,
)
from mmseg_instbox.models import CentreGrouper, PixelBoxGrouper


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
    scores, boxes = perfect_output(seg, inst, 4, noise=2)
    result = CentreGrouper()(scores, boxes, (64, 96), THING_IDS, seg_map=seg)
    check(result, (64, 96))
    assert len(result) == 3 and min(best_ious(inst, result)) > 0.95


@pytest.mark.parametrize('arguments', [
    dict(sigma=0), dict(kernel=4), dict(min_votes=0), dict(max_centres=0)])
def test_numbers_out_of_range_are_refused(arguments):
    with pytest.raises(ValueError, match='CentreGrouper needs'):
        CentreGrouper(**arguments)
