import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData, PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmseg_instbox.core.feature_grid import cell_points
from mmseg_instbox.visualization import add_box_targets
from mmseg_instbox.visualization.box_targets import delta_names, draw_deltas, draw_target_boxes
from mmseg_instbox.visualization.vote_field import dim

SHAPE, GRID = (40, 60), (4, 6)
BOXES = torch.tensor([[0., 0, 20, 30], [30, 10, 60, 40]])


def make_sample():
    """Two rectangles, 4 and 7, that fill their boxes; void between them."""
    inst_map = torch.zeros(1, *SHAPE, dtype=torch.int32)
    inst_map[0, :30, :20], inst_map[0, 10:, 30:], inst_map[0, :, 20:30] = 4, 7, 255
    sample = SegDataSample(gt_inst_map=PixelData(data=inst_map))
    sample.gt_instances = InstanceData(
        ids=torch.tensor([4, 7]), labels=torch.tensor([0, 1]), bboxes=BOXES.clone())
    return sample


def make_head(coder='PixelBoxCoder', loss='SmoothL1Loss'):
    return MODELS.build(dict(
        type='PixelBoxHead', in_channels=8, in_index=0, channels=8, num_convs=1,
        coder=dict(type=coder, scale=32), loss_decode=dict(type=loss)))


def with_targets(**kwargs):
    sample, head = make_sample(), make_head(**kwargs)
    add_box_targets(sample, head, GRID)
    return sample, head


@pytest.mark.parametrize('coder', ['PixelBoxCoder', 'CornerBoxCoder'])
def test_the_targets_are_where_the_loss_is_zero(coder):
    """An output equal to the targets has no loss, and one off in a single target cell has."""
    sample, head = with_targets(coder=coder)
    target = sample.gt_deltas.data
    perfect = target.nan_to_num(123.)[None]
    assert head.loss_by_feat(perfect, [sample])[head.loss_decode.loss_name] == 0
    for row, column in (~target[0].isnan()).nonzero().tolist():
        wrong = perfect.clone()
        wrong[0, 2, row, column] += 1
        assert head.loss_by_feat(wrong, [sample])[head.loss_decode.loss_name] > 0


@pytest.mark.parametrize('coder', ['PixelBoxCoder', 'CornerBoxCoder'])
def test_boxes_are_those_of_the_instances(coder):
    sample, _ = with_targets(coder=coder)
    boxes, ids = sample.gt_boxes.data, sample.gt_inst_map.data[0, 5::10, 5::10]
    assert torch.equal(boxes[0].isnan(), (ids == 0) | (ids == 255))
    for number, box in zip((4, 7), BOXES, strict=True):
        assert torch.allclose(boxes[:, ids == number].T, box.expand(6 if number == 4 else 9, 4),
                              atol=1e-4)


def test_numbers_by_hand():
    sample, _ = with_targets()
    deltas = sample.gt_deltas.data[:, 1, 0]  # the cell at x = 5, y = 15 of the first object
    expected = torch.tensor([(10 - 5) / 32, 0, np.log(20 / 32), np.log(30 / 32)])
    assert torch.allclose(deltas, expected.float(), atol=1e-6)


@pytest.mark.parametrize('number', [7, 33001])  # such as a bicycle of Cityscapes
def test_every_instance_has_its_wheel(number):
    sample, _ = with_targets()
    sample.gt_inst_map.data[sample.gt_inst_map.data == 7] = number
    image = np.full((*SHAPE, 3), 90, np.uint8)
    drawn = draw_target_boxes(image, sample)
    inside = sample.gt_inst_map.data[0].numpy()
    changed = (drawn != dim(image)).any(-1)
    assert changed[(inside == 4) | (inside == number)].all()
    assert not changed[35:, :25].any() and not changed[:5, 35:].any()
    for x, y in ((10, 15), (45, 25)):
        assert drawn[y - 1:y + 1, x - 1:x + 1].max(-1).min() > 200


def test_enlarged_picture_has_everything_in_its_place():
    sample, _ = with_targets()
    drawn = draw_target_boxes(np.full((120, 180, 3), 90, np.uint8), sample)
    changed = (drawn != dim(np.full((120, 180, 3), 90, np.uint8))).any(-1)
    assert changed[:90, :60].all() and changed[30:, 90:].all() and not changed[94:, :80].any()


def test_deltas_are_blue_below_zero_and_red_above():
    deltas = np.full((4, *GRID), np.nan)
    deltas[:, 1, 1], deltas[:, 2, 4] = -2, 2
    image = np.full((400, 600, 3), 90, np.uint8)
    drawn = draw_deltas(image, deltas, tuple('abcd')).astype(int)
    assert drawn.shape == image.shape
    for quarter in (drawn[y:y + 200, x:x + 300] for y in (0, 200) for x in (0, 300)):
        colourful = np.ptp(quarter, axis=-1) > 60
        rows, columns = np.nonzero(colourful & (quarter.argmax(-1) == 2))
        assert columns.max() < 110 < 190 and rows.max() < 120
        rows, columns = np.nonzero(colourful & (quarter.argmax(-1) == 0))
        assert columns.min() > 190 and rows.min() > 90


def test_without_instances_there_is_nothing_to_learn():
    sample = make_sample()
    sample.gt_inst_map.data[:] = 0
    add_box_targets(sample, make_head(), GRID)
    assert sample.gt_boxes.data.isnan().all() and sample.gt_deltas.data.isnan().all()
    image = np.full((*SHAPE, 3), 90, np.uint8)
    assert np.array_equal(draw_target_boxes(image, sample), dim(image))
    assert draw_deltas(image, sample.gt_deltas.data.numpy(), tuple('abcd')).shape == image.shape


def test_names_of_the_numbers():
    assert delta_names(make_head().coder)[0] == 'x to the centre'
    assert delta_names(make_head(coder='CornerBoxCoder').coder)[3] == 'number 4 of CornerBoxCoder'


def test_full_boxes_are_drawn_to_their_centre_outside():
    """Boxes that were remembered from before a crop reach beyond the picture."""
    sample = make_sample()
    sample.gt_instances.bboxes = torch.tensor([[-80., 0, 20, 30], [30, 10, 60, 40]])
    add_box_targets(sample, make_head(), GRID)
    centre = (sample.gt_boxes.data[0] + sample.gt_boxes.data[2])[0, 0] / 2
    assert centre == pytest.approx(-30, abs=1e-3)
    assert cell_points(GRID, SHAPE)[0, 0, 0] == 5
    assert draw_target_boxes(np.full((*SHAPE, 3), 90, np.uint8), sample).shape == (*SHAPE, 3)
