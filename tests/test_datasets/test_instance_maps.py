import numpy as np
import pytest

from mmseg_instbox.datasets.instance_maps import (
    check_objects,
    check_same_size,
    map_categories,
    object_boxes,
)


def brute_force_boxes(inst_map):
    found = {}
    for y, row in enumerate(inst_map.tolist()):
        for x, value in enumerate(row):
            if value not in (0, 255):
                x1, y1, x2, y2 = found.get(value, (x, y, x + 1, y + 1))
                found[value] = (min(x1, x), min(y1, y), max(x2, x + 1), max(y2, y + 1))
    return found


@pytest.mark.parametrize('seed', range(5))
def test_boxes_are_those_of_a_loop_over_all_pixels(seed):
    rng = np.random.default_rng(seed)
    shape = rng.integers(1, 30, 2)
    inst_map = rng.choice(np.array([0, 1, 2, 254, 255, 256, 70000], np.int32), shape)
    ids, boxes = object_boxes(inst_map)
    expected = brute_force_boxes(inst_map)
    assert ids.tolist() == sorted(expected) and ids.dtype == np.int64
    assert boxes.tolist() == [list(expected[i]) for i in sorted(expected)]
    assert boxes.dtype == np.float32


def test_right_and_bottom_edge_of_a_box_are_exclusive():
    inst_map = np.zeros((5, 7), np.int32)
    inst_map[1:4, 2:6] = 9
    assert object_boxes(inst_map)[1].tolist() == [[2, 1, 6, 4]]


def test_another_number_than_255_can_be_void():
    ids, boxes = object_boxes(np.array([[0, 255, 255, 7]]), void=7)
    assert ids.tolist() == [255] and boxes.tolist() == [[1, 0, 3, 1]]


def test_an_object_that_ends_a_row_is_not_joined_to_the_next_row():
    inst_map = np.array([[0, 0, 4], [4, 0, 0]], np.int32)
    assert object_boxes(inst_map)[1].tolist() == [[0, 0, 3, 2]]


def test_a_map_without_objects_has_no_boxes():
    for inst_map in (np.zeros((3, 4), np.int32), np.full((3, 4), 255, np.int32)):
        ids, boxes = object_boxes(inst_map)
        assert ids.shape == (0,) and boxes.shape == (0, 4)


@pytest.mark.parametrize('seed', range(3))
def test_categories_of_objects_are_those_of_a_loop_over_all_pixels(seed):
    rng = np.random.default_rng(seed)
    inst_map = rng.choice(np.array([0, 3, 255, 1000, 70000], np.int32), (9, 11))
    category = {0: 0, 3: 7, 255: 2, 1000: 1, 70000: 7}
    seg_map = np.vectorize(category.get)(inst_map).astype(np.uint8)
    seg_map[rng.random(seg_map.shape) < 0.2] = 255
    assert check_objects(seg_map, inst_map, [1, 7], 'a.png').tolist() == [7, 1, 7]


@pytest.mark.parametrize('label_map, reduce_zero, stored, expected', [
    (None, False, [0, 1, 2, 255], [0, 1, 2, 255]),
    (None, True, [0, 1, 2, 3, 255], [255, 0, 1, 2, 255]),
    ({0: 0, 1: 255, 2: 1}, False, [0, 1, 2, 255], [0, 255, 1, 255]),
    ({0: 1, 1: 255, 2: 0}, True, [0, 1, 2, 3, 255], [255, 1, 255, 0, 255]),
])
def test_stored_indices_become_categories(label_map, reduce_zero, stored, expected):
    mapped = map_categories(np.array([stored]), 'a.png', 3, label_map, reduce_zero)
    assert mapped.tolist() == [expected] and mapped.dtype == np.uint8


@pytest.mark.parametrize('index', [3, 254, 256, 1000, -1])
def test_an_index_that_is_no_category_is_an_error_with_the_file(index):
    with pytest.raises(ValueError, match=rf'dir/a\.png: .*\[{index}\].*0 to 2 .*classes'):
        map_categories(np.array([[0, index]]), 'dir/a.png', 3)


def test_masks_of_different_size_are_an_error_with_both_sizes():
    check_same_size((4, 6), (4, 6, 3), 'a.png', 'its image')
    with pytest.raises(ValueError, match='a.png: .*6 x 4 .*its image is 4 x 6'):
        check_same_size((4, 6), (6, 4), 'a.png', 'its image')


def test_categories_come_in_the_order_of_the_ids():
    seg_map = np.array([[5, 5, 2, 255, 0]], np.uint8)
    inst_map = np.array([[8, 8, 4, 4, 0]], np.int32)
    assert object_boxes(inst_map)[0].tolist() == [4, 8]
    assert check_objects(seg_map, inst_map, [5, 2], 'a.png').tolist() == [2, 5]


@pytest.mark.parametrize('categories, message', [
    ([1, 2, 0], 'object 7 covers .*1, 2'),
    ([1, 0, 0], 'object 7 covers .*0, 1'),
    ([0, 0, 0], 'object 7 lies on category 0'),
    ([3, 3, 0], 'object 7 lies on category 3'),
    ([255, 255, 1], 'object 7 has no category'),
])
def test_an_object_needs_exactly_one_thing_category(categories, message):
    with pytest.raises(ValueError, match=f'dir/a.png: {message}'):
        check_objects(np.array([categories], np.uint8), np.array([[7, 7, 0]]), [1, 2], 'dir/a.png')


def test_void_pixels_of_an_object_do_not_count_against_it():
    check_objects(np.array([[1, 255, 0]], np.uint8), np.array([[7, 7, 255]]), [1], 'a.png')
