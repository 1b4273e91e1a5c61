import numpy as np
import pytest
import torch

from mmseg_instbox.core.instances import InstanceMasks
from mmseg_instbox.utils.run_lengths import encode_mask, mask_crops
from mmseg_instbox.visualization.drawing import (
    DrawnObjects,
    canvas_crops,
    contact_sheet,
    draw_labels,
    draw_objects,
    instance_colors,
    place_label,
    resize_map,
    text_color,
    to_canvas,
)
from mmseg_instbox.visualization.utils import match_ids

NONE = np.zeros((0, 4), dtype=int)


def shared_area(a, b):
    pixels = np.zeros((2, 400, 400), dtype=bool)
    for layer, (x1, y1, x2, y2) in zip(pixels, (a, b), strict=True):
        layer[y1:y2, x1:x2] = True
    return (pixels[0] & pixels[1]).sum()


@pytest.mark.parametrize('box', [(0, 0, 5, 5), (290, 190, 300, 200), (0, 0, 300, 200),
                                 (100, 0, 110, 200), (-5, -5, 3, 3)])
def test_label_lies_inside_the_canvas(box):
    box = np.array(box)
    x1, y1, x2, y2 = place_label(box, (60, 15), (200, 300), NONE, box[None])
    assert (x2 - x1, y2 - y1) == (60, 15)
    assert 0 <= x1 and 0 <= y1 and x2 <= 300 and y2 <= 200


def test_labels_of_one_place_do_not_cover_each_other():
    box, placed = np.array((100, 80, 180, 140)), NONE
    for _ in range(5):
        label = place_label(box, (60, 15), (200, 300), placed, box[None])
        assert all(shared_area(label, other) == 0 for other in placed)
        placed = np.concatenate([placed, label[None]])


def test_label_leaves_small_neighbour_visible():
    box, neighbour = np.array((100, 80, 180, 140)), np.array((100, 66, 150, 79))
    label = place_label(box, (60, 15), (200, 300), NONE, np.stack([box, neighbour]))
    assert shared_area(label, neighbour) == 0


def test_written_label_has_its_colour_and_touches_its_box_only():
    canvas = np.full((200, 300, 3), 100, dtype=np.uint8)
    box, color = np.array([[100, 80, 180, 140]]), np.array([[10, 20, 250]], dtype=np.uint8)
    drawn = draw_labels(canvas, box, ['cat 0.97'], color)
    rows, columns = np.nonzero((drawn != canvas).any(axis=2))
    assert (drawn == color[0]).all(axis=2).sum() > 100
    assert rows.max() < 80 and columns.min() >= 99  # above the box, from its left edge on
    assert (canvas == 100).all()


def test_boxes_can_be_left_out():
    mask, canvas = np.zeros((1, 40, 60), dtype=bool), np.full((40, 60, 3), 100, dtype=np.uint8)
    mask[0, 15:20, 15:20] = True
    box, color = np.array([[5., 5., 50., 30.]]), np.array([[10, 20, 250]], dtype=np.uint8)
    objects = DrawnObjects(canvas_crops(mask, (40, 60), (40, 60)), box, None, color)
    with_box, without = (draw_objects(canvas, objects, .5, with_boxes=its) for its in (1, 0))
    edge = np.zeros((40, 60), dtype=bool)
    edge[5:30, 5:50], edge[6:29, 6:49] = True, False
    assert (with_box[edge] == color).all() and (without[edge] == 100).all()
    assert np.array_equal(with_box[~edge], without[~edge]) and (without != 100).any()


@pytest.mark.parametrize('count', [0, 1, 18, 19, 60])
def test_colours_are_distinct_and_stay(count):
    colors = instance_colors(count)
    assert colors.shape == (count, 3) and colors.dtype == np.uint8
    assert len(np.unique(colors, axis=0)) == count
    assert np.array_equal(colors, instance_colors(100)[:count])


def test_text_is_black_on_bright_and_white_on_dark():
    assert text_color(np.array([255, 255, 0])) == (0, 0, 0)
    assert text_color(np.array([0, 0, 255])) == (255, 255, 255)


def test_match_ids_by_hand():
    truth = np.zeros((2, 1, 10), dtype=bool)
    truth[0, 0, :4], truth[1, 0, 4:8] = True, True
    masks = np.zeros((5, 1, 10), dtype=bool)
    masks[0, 0, 4:7] = True    # IoU 3/4 with the second
    masks[1, 0, 4:8] = True    # IoU 1 with the second, which is taken
    masks[2, 0, :2] = True     # IoU 1/2 with the first: not above 0.5
    masks[3, 0, :5] = True     # IoU 4/5 with the first
    masks, truth = (list(mask_crops(each)) for each in (masks, truth))
    assert match_ids(masks, truth, (1, 10)).tolist() == [1, 2, 3, 0, 4]  # the last mask is empty
    assert match_ids(masks, truth[:0], (1, 10)).tolist() == [0, 1, 2, 3, 4]
    assert match_ids(masks[:0], truth, (1, 10)).tolist() == []


@pytest.mark.parametrize('shape, canvas', [
    ((30, 40), (90, 120)), ((30, 40), (30, 40)), ((300, 400), (75, 100)), ((500, 3), (100, 1))])
def test_canvases_are_enlarged_by_a_whole_factor_or_reduced(shape, canvas):
    image = np.full((*shape, 3), 70, np.uint8)
    found = to_canvas(image, 90 if shape != canvas else 1, 100 if shape[0] > 99 else None)
    assert found.shape[:2] == canvas and (found == 70).all() and found is not image


def test_reversed_channels_are_reduced_like_their_copy():
    image = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)[..., ::-1]
    found = to_canvas(image, 1, 30)
    assert np.array_equal(found, to_canvas(image.copy(), 1, 30)) and found.flags.c_contiguous


def test_crops_on_a_canvas_are_those_of_the_resized_map():
    inst_map = np.repeat(np.repeat(np.array([[1, 0, 2], [1, 1, 2]], np.int16), 4, 0), 4, 1)
    masks = InstanceMasks(torch.from_numpy(inst_map), torch.tensor([2, 1]))
    planes = np.stack([inst_map == 2, inst_map == 1])
    codes = [encode_mask(mask) for mask in planes]
    for shape in ((2, 3), (8, 12), (24, 36)):
        for given in (masks, planes, codes):
            one, other = canvas_crops(given, (8, 12), shape)
            assert other.pixels.shape == (shape[0], shape[1] // 3 * 2) and one.pixels.all()
            assert (other.left, one.left) == (0, shape[1] // 3 * 2)
            assert other.pixels.sum() == shape[0] * shape[1] // 2


@pytest.mark.parametrize('shape', [(20, 31), (37, 53), (91, 77), (1, 2)])
def test_crops_on_a_canvas_are_those_of_the_resized_planes(shape):
    random = np.random.default_rng(0)
    planes = np.zeros((4, 37, 53), bool)  # the last is empty
    planes[0], planes[1, 5:9, 50:], planes[2, 36, 7] = random.random((37, 53)) < 0.3, True, True
    for given in (planes, torch.from_numpy(planes), [encode_mask(mask) for mask in planes]):
        for crop, plane in zip(canvas_crops(given, (37, 53), shape), planes, strict=True):
            canvas = np.zeros(shape, bool)
            canvas[crop.window] = crop.pixels
            assert np.array_equal(canvas, resize_map(plane, shape))


def test_images_stand_in_rows_and_large_ones_shrink():
    images = [np.full((20, 40, 3), 10, np.uint8), np.full((10, 10, 3), 20, np.uint8),
                np.full((40, 80, 3), 30, np.uint8)]
    sheet = contact_sheet(images, columns=2, width=40, gap=1)
    assert sheet.shape == (44, 84, 3)
    assert (sheet[1:21, 1:41] == 10).all() and (sheet[1:11, 43:53] == 20).all()
    assert (sheet[23:43, 1:41] == 30).all()
    assert (sheet == 255).all(-1).sum() == 44 * 84 - 20 * 40 - 10 * 10 - 20 * 40
