"""What must hold of every grouper, and what they have in common."""
import pytest
import torch
from grouping_scenes import (
    NUM_CLASSES,
    THING_IDS,
    best_ious,
    check,
    perfect_output,
    random_crowd,
    scene,
)
from mmseg.registry import TASK_UTILS
from torch import Tensor

from mmseg_instbox.core.base_grouper import BaseGrouper, find_cells
from mmseg_instbox.core.grouping import Candidates
from mmseg_instbox.core.instances import draw_instances

NAMES = ['BoxNMSGrouper', 'CentreGrouper', 'PixelBoxGrouper']
INVALID = dict(
    point=(8, 8, 8, 8), line=(8, 8, 8, 30), inside_out=(40, 40, 8, 8), mirrored=(40, 8, 8, 40),
    nan=(8, float('nan'), 40, 40), all_nan=(float('nan'), ) * 4, inf=(8, 8, float('inf'), 40),
    minus_inf=(-float('inf'), 8, 40, 40), everywhere=(-3e38, -3e38, 3e38, 3e38))


PRODUCT = ('probability', 'agreement')


@pytest.fixture(params=NAMES)
def grouper(request) -> BaseGrouper:
    return TASK_UTILS.build(dict(type=request.param))


class HalvesGrouper(BaseGrouper):
    """Left cells are one instance, right cells another; those of the first row are nobody's."""

    def _group(self, cells):
        self.cells = cells
        centre = (cells.boxes[:, 0] + cells.boxes[:, 2]) / 2
        owner = torch.where(cells.boxes[:, 1] == 0, -1, (centre > 20).long())
        found = Candidates(cells.boxes[[0, -1]], cells.labels[[0, -1]], cells.prob[[0, -1]])
        return found, owner, torch.full_like(cells.prob, 0.5)


def test_the_names_are_those_registered():
    registered = [name for name, cls in TASK_UTILS.module_dict.items()
                  if isinstance(cls, type) and issubclass(cls, BaseGrouper)]
    assert sorted(registered) == NAMES


def test_a_grouper_must_say_how_it_groups():
    with pytest.raises(NotImplementedError, match='BaseGrouper must implement _group'):
        BaseGrouper()(*perfect_output(*scene((1, 8, 8, 40, 48)), 8), (64, 96), THING_IDS)


def own_cell_output() -> tuple[Tensor, Tensor]:
    """A grid of 4 x 5 cells of category 2 with probability 0.6, each with its own cell as box."""
    probs = torch.full((NUM_CLASSES, 4, 5), 0.1)
    probs[2] = 0.6
    y, x = torch.meshgrid(torch.arange(4.), torch.arange(5.), indexing='ij')
    return probs, torch.stack([x, y, x + 1, y + 1]) * 8


def test_the_hook_gets_the_thing_cells_in_the_order_of_rows():
    probs, boxes = own_cell_output()
    probs[3, 1, 2], probs[2, 1, 2] = 0.6, 0.1  # a category without instances
    grouper = HalvesGrouper()
    grouper(probs, boxes, (30, 36), THING_IDS, extent=(32., 40.))
    cells = grouper.cells
    expected = torch.cat([boxes.flatten(1).T[:7], boxes.flatten(1).T[8:]])
    assert torch.equal(cells.boxes, expected)
    assert cells.labels.tolist() == [2] * 19 and cells.prob.tolist() == pytest.approx([0.6] * 19)
    assert cells.index.tolist() == [*range(7), *range(8, 20)]
    assert cells[4:] == ((30, 36), (4, 5), (32., 40.)) and cells.area == 64


def test_owners_become_masks_and_scores():
    probs, boxes = own_cell_output()
    seg_map = torch.full((32, 40), 2)
    seg_map[:, 30:] = 0
    result = HalvesGrouper(PRODUCT)(probs, boxes, (32, 40), THING_IDS, seg_map=seg_map)
    check(result, (32, 40))
    assert result.labels.tolist() == [1, 1] and result.num_invalid == 0
    assert result.scores.tolist() == pytest.approx([0.3, 0.3])  # probability times agreement
    assert not result.masks[:, :, 30:].any() and result.masks[:, 16:, :30].any(dim=0).all()
    left = result.masks[result.bboxes[:, 0] == 0][0]
    assert left[16:, :23].all() and not left[:, 25:].any()


@pytest.mark.parametrize('factor, expected', [
    ('probability', 0.6), ('agreement', 0.5), ('coverage', 0.5), ('size', 5 / 13)])
def test_factors_of_the_score(factor, expected):
    """Five of the cells are one instance whose box has room for all 20."""
    probs, boxes = own_cell_output()
    boxes = torch.tensor([0., 0, 40, 32])[:, None, None].repeat(1, 4, 5)
    boxes[:, 1:] = float('nan')
    grouper = HalvesGrouper([factor])
    grouper._group = lambda cells: (
        Candidates(cells.boxes[:1], cells.labels[:1], cells.prob[:1]),
        torch.zeros_like(cells.labels), torch.full_like(cells.prob, 0.5))
    result = grouper(probs, boxes, (32, 40), THING_IDS)
    assert result.scores.tolist() == pytest.approx([expected])


@pytest.mark.parametrize('score', [(), ('area', ), 'size'])
def test_unknown_factors_are_refused(score):
    with pytest.raises(ValueError, match="expected some of .*'coverage'"):
        BaseGrouper(score)


def test_the_two_steps_are_the_call(grouper):
    seg, inst = random_crowd(1)
    probs, boxes = perfect_output(seg, inst, 4, noise=1)
    things = torch.tensor(THING_IDS)
    groups = grouper.group_cells(probs, boxes, (64, 96), things, (64, 96))
    steps = draw_instances(groups, seg, things, (64, 96))
    whole = grouper(probs, boxes, (64, 96), THING_IDS, seg_map=seg)
    again = grouper(probs, boxes, (64, 96), THING_IDS, seg_map=seg)
    for key in ('masks', 'labels', 'scores', 'bboxes'):
        assert torch.equal(steps[key], whole[key]) and torch.equal(again[key], whole[key])
    owned = groups.owners[groups.owners >= 0].unique().tolist()
    assert owned == list(range(len(groups.scores))) and len(owned) >= 3


def test_masks_take_no_more_memory_than_they_may(grouper):
    seg, inst = random_crowd(1)
    probs, boxes = perfect_output(seg, inst, 4, noise=1)
    every = grouper(probs, boxes, (64, 96), THING_IDS, seg_map=seg)
    grouper.max_mask_bytes = 3 * 64 * 96 - 1
    kept = grouper(probs, boxes, (64, 96), THING_IDS, seg_map=seg)
    assert every.num_left_out == 0 and kept.num_left_out == len(every) - 2 > 0
    for key in ('masks', 'labels', 'scores', 'bboxes'):
        assert torch.equal(kept[key], every[key][:2])


@pytest.mark.parametrize('limit', [0, -5])
def test_a_limit_that_keeps_nothing_is_refused(limit):
    with pytest.raises(ValueError, match='expected a number of bytes, or None'):
        BaseGrouper(max_mask_bytes=limit)


def test_two_touching_objects_of_one_category(grouper):
    seg, inst = scene((2, 8, 8, 40, 48), (2, 40, 8, 72, 48))
    result = grouper(*perfect_output(seg, inst, 4), (64, 96), THING_IDS, seg_map=seg)
    check(result, (64, 96))
    assert result.labels.tolist() == [1, 1] and best_ious(inst, result) == [1, 1]
    cells = 8 * 10
    assert result.scores.tolist() == pytest.approx([0.84 * cells / (cells + 8)] * 2, abs=1e-4)


def test_objects_of_two_categories_with_the_same_box(grouper):
    seg, inst = scene((1, 8, 8, 56, 56), (4, 8, 8, 32, 32), (4, 32, 32, 56, 56))
    inst[inst == 3] = 2  # one object of two parts around the other
    result = grouper(*perfect_output(seg, inst, 4), (64, 96), THING_IDS, seg_map=seg)
    assert sorted(result.labels.tolist()) == [0, 2] and best_ious(inst, result) == [1, 1]


def test_no_foreground(grouper):
    result = grouper(*perfect_output(*scene(), 8), (64, 96), THING_IDS)
    check(result, (64, 96))
    assert len(result.labels) == 0 and result.num_invalid == 0


def test_one_cell(grouper):
    probs = torch.tensor([0.1, 0.1, 0.6, 0.1, 0.1])[:, None, None]
    boxes = torch.tensor([1., 2, 9, 8])[:, None, None]
    result = grouper(probs, boxes, (8, 10), THING_IDS)
    check(result, (8, 10))
    assert result.labels.tolist() == [1] and result.masks.all()
    assert result.scores.tolist() == pytest.approx([0.6 / 9])  # one cell


def test_a_category_that_fills_the_image(grouper):
    seg, inst = scene((4, 0, 0, 96, 64))
    result = grouper(*perfect_output(seg, inst, 8), (64, 96), THING_IDS)
    assert result.labels.tolist() == [2] and result.masks.all()


def test_boxes_outside_the_image(grouper):
    seg, inst = scene((1, 8, 8, 40, 48))
    probs, boxes = perfect_output(seg, inst, 8)
    result = grouper(probs, boxes + 5000, (64, 96), THING_IDS)
    check(result, (64, 96))
    assert result.num_invalid == 0


def test_the_grid_may_cover_more_than_the_image(grouper):
    seg, inst = scene((2, 0, 0, 24, 27), (2, 24, 0, 45, 27), size=(32, 48))
    result = grouper(*perfect_output(seg, inst, 4), (27, 45), THING_IDS, extent=(32, 48),
                     seg_map=seg[:27, :45])
    check(result, (27, 45))
    assert best_ious(inst[:27, :45], result) == [1, 1]


@pytest.mark.parametrize('seed', range(3))
def test_any_output_gives_a_sound_result(grouper, seed):
    torch.manual_seed(seed)
    probs = (torch.randn(NUM_CLASSES, 9, 13) * 2).softmax(dim=0)
    boxes = torch.randn(4, 9, 13) * 40 + 30  # also inside out
    boxes[:, :2] *= 1e4
    boxes[:, 5] = boxes[:, 5].masked_fill(torch.rand(4, 13) < 0.2, torch.nan)
    result = grouper(probs, boxes, (70, 100), THING_IDS, extent=(72., 104.))
    check(result, (70, 100))
    things = torch.isin(probs.argmax(dim=0), torch.tensor(THING_IDS))
    width, height = boxes[2:] - boxes[:2]
    sound = things & (width > 0) & (height > 0)  # nan is neither
    assert result.num_invalid == int(things.sum() - sound.sum()) > 0
    cells, num_invalid = find_cells(probs, boxes, (70, 100), THING_IDS, (72., 104.))
    assert num_invalid == result.num_invalid
    assert torch.equal(cells.on_grid(cells.labels), probs.argmax(dim=0).where(sound, -1))


@pytest.mark.parametrize('box', INVALID.values(), ids=INVALID.keys())
def test_cells_with_an_unsound_box_are_left_out_and_counted(grouper, box):
    seg, inst = scene((2, 8, 8, 40, 48), (2, 40, 8, 72, 48))
    probs, boxes = perfect_output(seg, inst, 4)
    things = torch.tensor(THING_IDS)
    boxes[:, :3] = torch.tensor(box)[:, None, None]
    groups = grouper.group_cells(probs, boxes, (64, 96), things, (64, 96))
    assert groups.num_invalid == 16  # row 2 has 16 cells with an object, rows 0 and 1 none
    assert (groups.owners[:3] == -1).all()
    without = probs.clone()
    without[0, :3] = 1  # background there
    expected = grouper.group_cells(without, boxes, (64, 96), things, (64, 96))
    assert expected.num_invalid == 0 and len(groups.scores) == 2
    assert torch.equal(groups.owners, expected.owners)
    assert torch.equal(groups.scores, expected.scores)
    result = grouper(probs, boxes, (64, 96), THING_IDS)
    assert result.num_invalid == 16 and 'num_invalid' in result.metainfo


def test_nothing_but_unsound_boxes(grouper):
    seg, inst = scene((1, 8, 8, 40, 48))
    probs, boxes = perfect_output(seg, inst, 8)
    result = grouper(probs, torch.full_like(boxes, torch.nan), (64, 96), THING_IDS)
    check(result, (64, 96))
    assert len(result.labels) == 0 and result.num_invalid == 20


def test_half_precision_does_not_overflow(grouper):
    """300 x 300 pixels are more than float16 holds."""
    seg, inst = scene((1, 0, 0, 300, 300), (1, 300, 0, 600, 300), size=(300, 600))
    probs, boxes = perfect_output(seg, inst, 20)
    result = grouper(probs.half(), boxes.half(), (300, 600), THING_IDS, seg_map=seg)
    assert result.num_invalid == 0 and best_ious(inst, result) == [1, 1]
    assert result.scores.dtype == torch.float32


def test_scores_and_boxes_on_different_grids_are_refused(grouper):
    probs, boxes = perfect_output(*scene((1, 8, 8, 40, 48)), 8)
    with pytest.raises(ValueError, match=r'probabilities \(5, 8, 12\) and boxes \(4, 8, 11\)'):
        grouper(probs, boxes[:, :, 1:], (64, 96), THING_IDS)


def test_half_precision_scores_give_the_same_categories(grouper):
    seg, inst = random_crowd(2)
    probs, boxes = perfect_output(seg, inst, 4)
    probs = (probs == probs.amax(dim=0)).float()  # zeros, whose logarithm half cannot hold
    exact, half = (grouper(each, boxes, (64, 96), THING_IDS) for each in (probs, probs.half()))
    assert torch.equal(exact.masks, half.masks)


def test_cells_with_nan_probabilities_are_left_out_and_counted(grouper):
    seg, inst = scene((1, 8, 8, 40, 48))
    probs, boxes = perfect_output(seg, inst, 8)
    probs[:, 2, 2:4] = float('nan')
    result = grouper(probs, boxes, (64, 96), THING_IDS, seg_map=seg)
    assert result.num_invalid == 2 and len(result) == 1


def test_categories_of_another_size_are_refused(grouper):
    output = perfect_output(*scene(), 8)
    with pytest.raises(ValueError, match=r'seg_map of size \(20, 96\) .* size \(64, 96\)'):
        grouper(*output, (64, 96), THING_IDS, seg_map=torch.zeros(20, 96, dtype=torch.long))


@pytest.mark.parametrize('things', [(1, 2, 4), [1, 2, 4], torch.tensor([1, 2, 4])])
def test_things_come_in_any_sequence(grouper, things):
    output = perfect_output(*random_crowd(3), 4)
    assert len(grouper(*output, (64, 96), things)) >= 2


@pytest.mark.parametrize('things', [[], [9], [-1]])
def test_things_that_are_no_categories_are_refused(grouper, things):
    with pytest.raises(ValueError, match='thing_ids are .* of the 5 categories'):
        grouper(*perfect_output(*scene(), 8), (64, 96), things)


def test_an_empty_grid_is_refused(grouper):
    with pytest.raises(ValueError, match=r'probabilities \(5, 0, 4\)'):
        grouper(torch.zeros(5, 0, 4), torch.zeros(4, 0, 4), (64, 96), THING_IDS)
