import pytest
import torch
from grouping_scenes import (
    NUM_CLASSES,
    THING_IDS,
    best_ious,
    check,
    mask_iou,
    perfect_output,
    random_crowd,
    scene,
)
from mmseg.registry import TASK_UTILS

from mmseg_instbox.models import PixelBoxGrouper


@pytest.mark.parametrize('grouper', [PixelBoxGrouper(), PixelBoxGrouper(8, relative_bins=False)])
def test_two_touching_objects_of_one_category(grouper):
    seg, inst = scene((2, 8, 8, 40, 48), (2, 40, 8, 72, 48))
    probs, boxes = perfect_output(seg, inst, stride=8)
    result = grouper(probs, boxes, (64, 96), THING_IDS)
    check(result, (64, 96))
    assert result.labels.tolist() == [1, 1]  # index into thing_ids
    assert min(best_ious(inst, result)) > 0.9
    exact = grouper(probs, boxes, (64, 96), THING_IDS, seg_map=seg)
    assert best_ious(inst, exact) == [1, 1]


def test_score_is_category_probability_times_agreement_of_the_boxes():
    seg, inst = scene((1, 8, 8, 40, 48))
    probs, boxes = perfect_output(seg, inst, stride=8)
    grouper = PixelBoxGrouper(score=['probability', 'agreement'])
    result = grouper(probs, boxes, (64, 96), THING_IDS)
    assert result.scores.tolist() == pytest.approx([0.84], abs=1e-4)
    noisy = grouper(probs, boxes + torch.randn(boxes.shape) * 2, (64, 96), THING_IDS)
    assert 0.5 < noisy.scores[0] < 0.84


def test_objects_of_two_categories_and_stuff():
    seg, inst = scene((1, 0, 0, 40, 64), (4, 40, 0, 96, 32), (3, 40, 32, 96, 64))
    result = PixelBoxGrouper()(*perfect_output(seg, inst, 8), (64, 96), THING_IDS, seg_map=seg)
    check(result, (64, 96))
    assert sorted(result.labels.tolist()) == [0, 2]  # category 3 has no instances
    assert not result.masks[:, 32:, 40:].any()


def test_an_object_inside_another():
    seg, inst = scene((1, 8, 0, 88, 64), (1, 32, 16, 64, 48))
    result = PixelBoxGrouper()(*perfect_output(seg, inst, 4), (64, 96), THING_IDS, seg_map=seg)
    assert len(result) == 2 and min(best_ious(inst, result)) > 0.95


@pytest.mark.parametrize('seed', [0, 1, 2])
def test_noisy_boxes_still_group(seed):
    torch.manual_seed(seed)
    seg, inst = scene((1, 8, 8, 40, 48), (1, 40, 8, 72, 48), (2, 0, 48, 88, 64))
    probs, boxes = perfect_output(seg, inst, 4, noise=3)
    result = PixelBoxGrouper()(probs, boxes, (64, 96), THING_IDS, seg_map=seg)
    check(result, (64, 96))
    assert min(best_ious(inst, result)) > 0.8


@pytest.mark.parametrize('axis', [0, 1])
@pytest.mark.parametrize('noise', [1, 4, 10])
@pytest.mark.parametrize('seed', range(6))
def test_flipping_the_image_flips_the_masks(seed, noise, axis):
    seg, inst = random_crowd(seed)
    torch.manual_seed(seed)
    probs, boxes = perfect_output(seg, inst, 4, noise=noise)
    result = PixelBoxGrouper()(probs, boxes, (64, 96), THING_IDS)
    mirrored = boxes.clone()
    low, high, size = (1, 3, 64) if axis == 0 else (0, 2, 96)
    mirrored[low], mirrored[high] = size - boxes[high], size - boxes[low]
    flipped = PixelBoxGrouper()(
        probs.flip(axis + 1), mirrored.flip(axis + 1), (64, 96), THING_IDS)
    assert len(flipped) == len(result) >= 3
    back = flipped.masks.flip(axis + 1)
    for mask in result.masks:
        assert max(mask_iou(mask, other) for other in back) > 0.99
    assert torch.allclose(flipped.scores, result.scores, atol=1e-4)


@pytest.mark.parametrize('seed', range(4))
def test_any_output_gives_a_sound_result(seed):
    torch.manual_seed(seed)
    probs = (torch.randn(NUM_CLASSES, 9, 13) * 2).softmax(dim=0)
    boxes = torch.randn(4, 9, 13) * 40 + 30  # also inside out
    boxes[:, :2] *= 1e4
    check(PixelBoxGrouper()(probs, boxes, (70, 100), THING_IDS, extent=(72., 104.)), (70, 100))


def test_no_foreground():
    seg, inst = scene()
    result = PixelBoxGrouper()(*perfect_output(seg, inst, 8), (64, 96), THING_IDS)
    check(result, (64, 96))
    assert len(result.labels) == 0


def test_foreground_that_the_given_map_does_not_have():
    seg, inst = scene((1, 8, 8, 40, 48))
    probs, boxes = perfect_output(seg, inst, 8)
    result = PixelBoxGrouper()(probs, boxes, (64, 96), THING_IDS, seg_map=torch.zeros_like(seg))
    check(result, (64, 96))
    assert len(result.labels) == 0


def test_one_cell():
    probs = torch.tensor([0.1, 0.1, 0.6, 0.1, 0.1])[:, None, None]
    boxes = torch.tensor([1., 2, 9, 8])[:, None, None]
    result = PixelBoxGrouper()(probs, boxes, (8, 10), THING_IDS)
    check(result, (8, 10))
    assert result.labels.tolist() == [1] and result.masks.all()


def test_a_category_that_fills_the_image():
    seg, inst = scene((4, 0, 0, 96, 64))
    result = PixelBoxGrouper()(*perfect_output(seg, inst, 8), (64, 96), THING_IDS)
    check(result, (64, 96))
    assert result.labels.tolist() == [2] and result.masks.all()


def test_hundreds_of_small_objects():
    rectangles = [(1, x, y, x + 8, y + 8) for y in range(0, 200, 10) for x in range(0, 200, 10)]
    seg, inst = scene(*rectangles, size=(200, 200))
    result = PixelBoxGrouper()(*perfect_output(seg, inst, 2), (200, 200), THING_IDS, seg_map=seg)
    check(result, (200, 200))
    assert len(result) == 400
    assert best_ious(inst, result) == [1] * 400


def test_the_grid_may_cover_more_than_the_image():
    """27 x 45 pixels of which padding made 32 x 48; the last cells lie half outside."""
    seg, inst = scene((2, 0, 0, 24, 27), (2, 24, 0, 45, 27), size=(32, 48))
    probs, boxes = perfect_output(seg, inst, 8)
    result = PixelBoxGrouper()(
        probs, boxes, (27, 45), THING_IDS, extent=(32, 48), seg_map=seg[:27, :45])
    check(result, (27, 45))
    assert best_ious(inst[:27, :45], result) == [1, 1]


def test_the_extent_is_the_image_by_default():
    seg, inst = random_crowd(5)
    output = perfect_output(seg, inst, 8)
    given = PixelBoxGrouper()(*output, (64, 96), THING_IDS, extent=(64, 96))
    default = PixelBoxGrouper()(*output, (64, 96), torch.tensor(THING_IDS))
    assert torch.equal(default.masks, given.masks)


def test_fixed_bins_lose_small_objects_that_relative_bins_keep():
    rectangles = [(1, x, y, x + 8, y + 8) for y in range(0, 64, 8) for x in range(0, 96, 8)]
    seg, inst = scene(*rectangles)
    output = perfect_output(seg, inst, 2)
    num_found = []
    for bins in (dict(), dict(relative_bins=False, bin_size=16)):
        grouper = TASK_UTILS.build(dict(type='PixelBoxGrouper', **bins))
        num_found.append(len(grouper(*output, (64, 96), THING_IDS)))
    assert num_found[0] == 96 > num_found[1]


@pytest.mark.parametrize('name', ['num_smooth', 'num_refine', 'max_candidates'])
def test_counts_are_whole_numbers(name):
    with pytest.raises(ValueError, match=f'{name} of PixelBoxGrouper is a whole number, got 1.5'):
        PixelBoxGrouper(**{name: 1.5})


def test_boxes_that_do_not_agree_are_bounded():
    """Each cell has a box of its own around it, so that nearly every cell is a candidate."""
    points = torch.stack(torch.meshgrid(torch.arange(64.), torch.arange(64.), indexing='xy')) * 8
    boxes = torch.cat([points - 32, points + 32]) + torch.randn(4, 64, 64)
    probs = torch.zeros(NUM_CLASSES, 64, 64)
    probs[1] = 1
    for limit in (20, 500):
        result = PixelBoxGrouper(max_candidates=limit)(probs, boxes, (512, 512), THING_IDS)
        check(result, (512, 512))
        assert 1 < len(result) <= limit


def test_min_gain_drops_candidates_that_own_little_of_their_box():
    seg, inst = scene((1, 8, 8, 24, 24))
    probs, boxes = perfect_output(seg, inst, 8)
    boxes[:] = torch.tensor([0., 0, 96, 64])[:, None, None]  # 4 of 96 cells claim all of the image
    for min_gain, num in ((0.1, 0), (0.02, 1)):
        grouper = PixelBoxGrouper(min_gain=min_gain, coverage=0.01)
        assert len(grouper(probs, boxes, (64, 96), THING_IDS).labels) == num


@pytest.mark.parametrize('arguments', [
    dict(bin_size=0), dict(merge_iou=1.5), dict(min_gain=-0.1), dict(num_refine=-1),
    dict(num_smooth=-1), dict(max_candidates=0), dict(bin_size=float('nan')),
    dict(coverage=0), dict(coverage=1.5)])
def test_numbers_out_of_range_are_refused(arguments):
    with pytest.raises(ValueError, match='PixelBoxGrouper needs'):
        PixelBoxGrouper(**arguments)


def thin_object() -> tuple[torch.Tensor, torch.Tensor]:
    """A diagonal bar that fills about a tenth of its box."""
    seg = torch.zeros(160, 160, dtype=torch.long)
    for at in range(8, 152):
        seg[at, max(at - 6, 8):at + 7] = 1
    return seg, seg.clone()


def test_an_object_that_fills_little_of_its_box_is_found():
    seg, inst = thin_object()
    assert (seg == 1).sum() < 0.1 * 144 * 150
    output = perfect_output(seg, inst, 8)
    found = PixelBoxGrouper()(*output, (160, 160), THING_IDS, seg_map=seg)
    assert best_ious(inst, found)[0] > 0.9 and len(found) == 1
    by_box_alone = PixelBoxGrouper(coverage=1e-6)
    assert len(by_box_alone(*output, (160, 160), THING_IDS, seg_map=seg)) == 0


@pytest.mark.parametrize('stride', [4, 8])
@pytest.mark.parametrize('at', range(4))
def test_masks_do_not_move_against_the_image(stride, at):
    """With true categories and boxes the masks of two touching objects are the objects."""
    seg, inst = scene((1, 10 + at, 9 + at, 40 + at, 50), (1, 40 + at, 9 + at, 80 + at, 50))
    result = PixelBoxGrouper()(*perfect_output(seg, inst, stride), (64, 96), THING_IDS, seg_map=seg)
    centre = result.masks.nonzero()[:, 1:].float().mean(dim=0)
    assert torch.allclose(centre, inst.nonzero().float().mean(dim=0))
    border = result.masks[result.bboxes[:, 0].argmin()][9 + at:50].sum(dim=1).float().mean()
    assert border == pytest.approx(30, abs=stride / 2)


def test_a_limit_of_candidates_warns_once(caplog):
    boxes = [(1, x, y, x + 8, y + 8) for y in range(0, 64, 8) for x in range(0, 96, 8)]
    seg, inst = scene(*boxes)
    output = perfect_output(seg, inst, 4)
    assert len(PixelBoxGrouper()(*output, (64, 96), THING_IDS)) == 96
    grouper = PixelBoxGrouper(max_candidates=90)
    for _ in range(2):
        assert len(grouper(*output, (64, 96), THING_IDS)) == 90
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == 1
    assert '6 candidate instances more than max_candidates=90' in warnings[0]


def test_a_thousand_touching_squares_are_a_thousand_instances():
    seg, inst = scene(*[(1, x, y, x + 16, y + 16) for y in range(0, 496, 16)
                        for x in range(0, 496, 16)], size=(496, 496))
    assert len(PixelBoxGrouper()(*perfect_output(seg, inst, 4), (496, 496), THING_IDS)) == 961


def test_scores_of_every_label():
    seg, inst = scene((1, 8, 8, 40, 48), (4, 48, 8, 88, 48))
    probs, boxes = perfect_output(seg, inst, 8)
    result = PixelBoxGrouper()(probs, boxes, (64, 96), THING_IDS)
    own = result.label_scores.gather(1, result.labels[:, None])[:, 0]
    assert torch.allclose(own, result.scores)
    others = result.label_scores / result.scores[:, None]
    others.scatter_(1, result.labels[:, None], 0)
    assert sorted({round(each, 4) for each in others.flatten().tolist()}) == [0, 0.0476]


def test_calibration_is_a_rising_map_of_the_scores():
    seg, inst = random_crowd(1)
    output = perfect_output(seg, inst, 4, noise=2)
    plain = PixelBoxGrouper()(*output, (64, 96), THING_IDS)
    mapped = PixelBoxGrouper(calibration=(2., 1.))(*output, (64, 96), THING_IDS)
    assert torch.equal(plain.masks, mapped.masks)
    odds = plain.scores / (1 - plain.scores)
    expected = odds**2 * torch.tensor(1.).exp()
    assert torch.allclose(mapped.scores, expected / (1 + expected), atol=1e-5)
    with pytest.raises(ValueError, match='a > 0'):
        PixelBoxGrouper(calibration=(-1., 0.))
