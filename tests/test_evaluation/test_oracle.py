from functools import partial

import pytest
import torch
from mmseg.registry import TASK_UTILS

from mmseg_instbox.engine import load_config
from mmseg_instbox.evaluation import DumpedSamples
from mmseg_instbox.evaluation.oracle import (
    true_boxes,
    true_category_map,
    true_category_probs,
    use_truth,
    use_truth_on_grid,
)
from mmseg_instbox.evaluation.replay import Regroup, replay

GROUPER = dict(type='PixelBoxGrouper')


@pytest.fixture(scope='module')
def samples(tiny_config, tiny_dump):
    return DumpedSamples.from_config(load_config(str(tiny_config)), tiny_dump)


@pytest.fixture
def figures(samples):
    """A function that evaluates the grouping after a change of the samples."""

    def evaluate(change=None, **arguments):
        change = change and partial(change, **arguments)
        variant = Regroup(TASK_UTILS.build(dict(GROUPER)), samples.thing_ids, change)
        return replay(samples, [variant])[0]

    return evaluate


def test_without_any_truth_it_is_the_prediction(figures):
    assert figures(use_truth, categories=False, boxes=False) == figures()


def test_more_truth_is_better(figures):
    plain, boxes, both = figures(), figures(use_truth, categories=False), figures(use_truth)
    assert max(plain['APr_vol'], boxes['APr_vol']) < both['APr_vol']
    assert both['APr_0.8'] == 1  # what lacks is where two objects touch between the cells
    assert plain['mIoU'] == boxes['mIoU'] < both['mIoU'] == 1


def test_cells_without_an_object_keep_the_predicted_box(samples):
    predicted, sample = torch.arange(1024.).view(4, 16, 16), samples[0]
    sample['pred_boxes'] = dict(data=predicted)
    boxes = use_truth(sample, categories=False)['pred_boxes']['data']
    centres = sample['gt_inst_map']['data'][0, 2::4, 2::4]  # stride 4
    assert torch.equal(boxes[:, centres == 0], predicted[:, centres == 0])
    first = sample['gt_instances']['bboxes'][0]
    assert (boxes[:, centres == 1] == first[:, None]).all()
    assert torch.equal(sample['pred_boxes']['data'], predicted)


def test_a_finer_grid_comes_closer_to_the_truth(figures):
    rows = [figures(use_truth_on_grid, stride=stride) for stride in (1, 2, 4, 16)]
    assert rows[0]['mIoU'] == rows[0]['APr_vol'] == 1  # every pixel is a cell
    for key in ('mIoU', 'APr_vol'):
        values = [row[key] for row in rows]
        assert values == sorted(values, reverse=True) and values[-1] < 0.8


def test_the_ceiling_does_not_look_at_the_prediction(samples):
    group = Regroup(TASK_UTILS.build(dict(GROUPER)), samples.thing_ids,
                    partial(use_truth_on_grid, stride=4))
    sample = samples[1]
    blind = dict(sample, pred_boxes=None, pred_sem_seg=None,
                 pred_probs=dict(data=torch.zeros(3, 1, 1)))
    expected, given = (group(each)['pred_instances'] for each in (sample, blind))
    assert len(expected['masks']) == 3 and torch.equal(expected['masks'], given['masks'])


def test_void_becomes_background():
    given = torch.tensor([[0, 2, 255]], dtype=torch.uint8)
    assert true_category_map(dict(gt_sem_seg=dict(data=given[None]))).tolist() == [[0, 2, 0]]
    assert given.tolist() == [[0, 2, 255]]


def test_cells_take_the_category_under_their_centre():
    # 4 x 6 pixels, 2 x 3 cells: the centres are the pixels (1, 1), (1, 3), (1, 5), (3, 1), ...
    seg_map = torch.zeros((4, 6), dtype=torch.int64)
    seg_map[1, 1], seg_map[1, 5], seg_map[3, 3] = 1, 2, 1
    probs = true_category_probs(seg_map, (2, 3), (4, 6), 3)
    assert probs.shape == (3, 2, 3) and probs.dtype == torch.float32
    assert probs.argmax(0).tolist() == [[1, 0, 2], [0, 1, 0]]
    assert torch.equal(probs.sum(0), torch.ones(2, 3))


def test_cells_in_the_padding_are_background():
    seg_map = torch.full((3, 5), 2)
    probs = true_category_probs(seg_map, (2, 2), (8, 10), 3)
    # centres x = 2.5, 7.5 and y = 2, 6: only the first cell lies in the image
    assert probs.argmax(0).tolist() == [[2, 0], [0, 0]]


def test_a_fractional_extent():
    seg_map = torch.tensor([[0, 1, 2, 1]])
    # centres x = 0.75, 2.25, 3.75 over an extent of 4.5 pixels
    assert true_category_probs(seg_map, (1, 3), (1., 4.5), 3).argmax(0).tolist() == [[0, 2, 1]]


def test_a_cell_has_the_box_of_the_object_at_its_centre():
    inst_map = torch.zeros(8, 12, dtype=torch.int32)
    inst_map[:, :6], inst_map[2:6, 6:9], inst_map[0, :] = 300, 7, 255
    ids = torch.tensor([300, 7])  # in any order
    bboxes = torch.tensor([[0., 1, 6, 8], [6, 2, 9, 6]])
    objects = dict(ids=ids, bboxes=bboxes)
    boxes = true_boxes(inst_map, objects, (2, 3), (8, 12))  # centres at x 2, 6, 10 and y 2, 6
    assert boxes.dtype == torch.float32 and boxes.shape == (4, 2, 3)
    assert boxes[:, 0, 0].tolist() == boxes[:, 1, 0].tolist() == [0, 1, 6, 8]
    assert boxes[:, 0, 1].tolist() == [6, 2, 9, 6]
    assert boxes[:, 1, 1].isnan().all()  # row 6 is below the second object
    assert boxes[:, :, 2].isnan().all()


def test_void_and_objects_that_are_not_listed_have_no_box():
    inst_map = torch.tensor([[1, 255, 9, 2]])
    objects = dict(ids=torch.tensor([1, 2]), bboxes=torch.tensor([[0., 0, 1, 1], [3, 0, 4, 1]]))
    boxes = true_boxes(inst_map, objects, (1, 4), (1, 4))
    assert boxes[0, 0].isnan().tolist() == [False, True, True, False]
    nothing = dict(ids=torch.zeros(0), bboxes=torch.zeros(0, 4))
    assert true_boxes(inst_map, nothing, (1, 4), (1, 4)).isnan().all()


def test_cells_beyond_the_image_have_no_box():
    inst_map = torch.ones(4, 4, dtype=torch.int32)
    objects = dict(ids=torch.tensor([1]), bboxes=torch.tensor([[0., 0, 4, 4]]))
    boxes = true_boxes(inst_map, objects, (2, 2), (8., 6.))
    # centres at y 2 and 6, of which the second is padding, and x 1.5 and 4.5
    assert boxes[0].isnan().tolist() == [[False, True], [True, True]]
