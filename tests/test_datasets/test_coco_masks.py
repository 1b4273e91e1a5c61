import math

import numpy as np
import pytest
from coco_pictures import rectangle, rle
from pycocotools import mask as mask_tools

from mmseg_instbox.datasets.coco_masks import (
    describe_objects,
    fill_outlines,
    object_id,
    paint_objects,
    segmentation_rle,
)

SHAPE = (30, 40)
THING_IDS = [1, 2]


def thing(segmentation, category=1, crowd=False):
    return dict(id=5, category=category, crowd=crowd, segmentation=segmentation)


def paint(*objects):
    return paint_objects(objects, SHAPE, 0, THING_IDS, 'a.json')


def box(*corners):
    """A mask that is true in a box."""
    mask = np.zeros(SHAPE, bool)
    mask[corners[1]:corners[3], corners[0]:corners[2]] = True
    return mask


@pytest.mark.parametrize('compressed', [True, False])
def test_encodings_of_random_masks_decode_to_them(compressed):
    rng = np.random.default_rng(0)
    for share in (0, 0.1, 0.5, 1):
        mask = rng.random(SHAPE) < share
        points = [(x, y, x + 1, y + 1) for y, x in np.argwhere(mask).tolist()]
        encoded = segmentation_rle(rle(*points, compressed=compressed, shape=SHAPE), SHAPE, 'here')
        assert np.array_equal(mask_tools.decode(encoded), mask)


def test_polygons_are_merged_into_one_object():
    parts = [rectangle(1, 1, 5, 5), rectangle(20, 10, 30, 12)]
    _, inst_map = paint(thing(parts))
    assert np.array_equal(inst_map == 1, box(1, 1, 5, 5) | box(20, 10, 30, 12))


@pytest.mark.parametrize('order', [1, -1])
def test_a_smaller_object_lies_over_a_larger_one(order):
    objects = [thing([rectangle(0, 0, 20, 20)], 1), thing([rectangle(5, 5, 10, 10)], 2)][::order]
    seg_map, inst_map = paint(*objects)
    small = box(5, 5, 10, 10)
    assert np.array_equal(seg_map, np.where(small, 2, box(0, 0, 20, 20)))
    assert (inst_map[small] == (2 if order == 1 else 1)).all()
    assert seg_map.dtype == np.uint8 and inst_map.dtype == np.int32


def test_crowds_are_void_below_all_objects():
    seg_map, inst_map = paint(
        thing([rectangle(0, 0, 20, 20)]), thing(rle((10, 10, 14, 14), shape=SHAPE), crowd=True),
        thing(rle((18, 18, 30, 30), shape=SHAPE), crowd=True))
    void = box(18, 18, 30, 30) & ~box(0, 0, 20, 20)
    assert np.array_equal(seg_map == 255, void) and np.array_equal(inst_map == 255, void)
    assert np.array_equal(inst_map == 1, box(0, 0, 20, 20))


def test_stuff_has_a_category_and_no_id_and_void_lies_where_its_size_puts_it():
    seg_map, inst_map = paint(thing([rectangle(0, 0, 20, 20)]),
                              thing([rectangle(2, 2, 6, 6)], category=3),
                              thing([rectangle(10, 2, 16, 6)], category=255))
    assert (seg_map[box(2, 2, 6, 6)] == 3).all() and (inst_map[box(2, 2, 6, 6)] == 0).all()
    assert (seg_map[box(10, 2, 16, 6)] == 255).all() and (inst_map[box(10, 2, 16, 6)] == 255).all()


def test_more_than_255_objects_have_ids_of_their_own():
    cells = [(x, y) for y in range(0, 30, 2) for x in range(0, 40, 2)]
    _, inst_map = paint(*(thing([rectangle(x, y, x + 2, y + 2)]) for x, y in cells))
    assert [inst_map[y, x] for x, y in cells] == [object_id(i) for i in range(300)]
    assert len(np.unique(inst_map)) == 300 and not (inst_map == 255).any()
    assert [object_id(i) for i in (0, 253, 254, 299)] == [1, 254, 256, 301]


@pytest.mark.parametrize('corner', [(4, 3), (-3, 5), (35, 26), (-9, 2), (50, 40)])
def test_outlines_through_pixels_are_cut_at_the_image(corner):
    left, top = corner
    points = [left, top, left + 7, top, left + 7, top + 5, left, top + 5]
    code = fill_outlines([[each + 0.5 for each in points]], 0.5, SHAPE[::-1])
    expected = box(max(left, 0), max(top, 0), max(left + 8, 0), max(top + 6, 0))
    assert code['size'] == list(SHAPE) and np.array_equal(mask_tools.decode(code), expected)


def test_without_objects_all_is_background():
    seg_map, inst_map = paint_objects([], SHAPE, 4, THING_IDS, 'a.json')
    assert (seg_map == 4).all() and (inst_map == 0).all() and seg_map.shape == SHAPE


def test_objects_of_a_map_are_described_as_pycocotools_encodes_their_masks():
    inst_map = np.random.default_rng(0).choice([0, 1, 3, 255], SHAPE).astype(np.int32)
    inst_map[:, 20:] = 0
    ids = np.array([3, 7, 1])  # no pixel has 7
    for each, number in zip(describe_objects(inst_map, ids, np.array([0, 1, 2])), ids, strict=True):
        mask = mask_tools.encode(np.asfortranarray(inst_map == number, np.uint8))
        x, y, width, height = mask_tools.toBbox(mask).tolist()
        assert each == dict(
            bbox=[x, y, x + width, y + height], bbox_label=[3, 7, 1].index(number), ignore_flag=0,
            area=(inst_map == number).sum(), mask=dict(size=SIZE, counts=mask['counts'].decode()))


SIZE = list(SHAPE)


@pytest.mark.parametrize('segmentation, message', [
    ([], 'fewer than three points'),
    ([[1, 1, 5, 5]], 'fewer than three points'),
    ([rectangle(1, 1, 5, 5), [1, 1, 5, 1, 5, 5, 2]], '7 coordinates'),
    ([[1, 1, 5, 1, math.nan, 5]], 'no finite numbers'),
    ([[1, 1, 5, 1, 'x', 5]], 'no finite numbers'),
    ([7], '1 coordinates'),
    ([{}], 'no finite numbers'),
    ([[[1, 1], [5]]], 'no finite numbers'),
    (dict(size=[40, 30], counts=[1200]), r'size \[40, 30\] .*its image is \[30, 40\]'),
    (dict(counts=[1200]), 'size None'),
    (dict(size=SIZE), 'counts of the RLE are broken'),
    (dict(size=SIZE, counts=[1201]), 'do not fill its 30 x 40 pixels'),
    (dict(size=SIZE, counts=[1300, -100]), 'broken'),
    (dict(size=SIZE, counts=rle((2, 2, 9, 9), shape=SHAPE)['counts'][:-1]), 'broken'),
    (dict(size=SIZE, counts='#'), 'broken'),
    (dict(size=SIZE, counts='o'), 'broken'),
])
def test_a_broken_segmentation_is_told_in_a_sentence(segmentation, message):
    with pytest.raises(ValueError, match=f'a.json: annotation 5: .*{message}'):
        paint(thing(segmentation))
