"""Polygons draw the mask that they were made of, with each program's way to draw."""
import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw

from mmseg_instbox.apis.formats.polygons import join_polygons, mask_polygons
from mmseg_instbox.utils.run_lengths import crop_mask


def fill_opencv(polygons, shape):
    canvas = np.zeros(shape, np.uint8)
    for polygon in polygons:
        cv2.fillPoly(canvas, [polygon.astype(np.int32)], 1)
    return canvas.astype(bool)


def fill_pillow(polygons, shape):
    picture = Image.new('L', shape[::-1])
    for polygon in polygons:
        ImageDraw.Draw(picture).polygon([tuple(point + 0.5) for point in polygon], outline=1,
                                        fill=1)
    return np.array(picture, dtype=bool)


@pytest.mark.parametrize('fill', [fill_opencv, fill_pillow])
@pytest.mark.parametrize('kind', ['noise', 'blobs'])
def test_drawn_polygons_are_the_mask(fill, kind):
    rng = np.random.default_rng(0)
    for _ in range(150):
        mask = rng.random(rng.integers(1, 40, 2))
        mask = cv2.GaussianBlur(mask, (0, 0), 2) > .5 if kind == 'blobs' else mask < rng.random()
        polygons = mask_polygons(crop_mask(mask))
        assert all(len(polygon) >= 3 for polygon in polygons)
        assert np.array_equal(fill(polygons, mask.shape), mask)


def test_a_square_has_its_corners():
    mask = np.zeros((9, 9), bool)
    mask[2:6, 3:8] = True
    (polygon, ) = mask_polygons(crop_mask(mask))
    assert {tuple(point) for point in polygon.tolist()} == {(3, 2), (7, 2), (7, 5), (3, 5)}
    assert len(polygon) == 4 and cv2.contourArea(polygon) == 4 * 3


def test_a_hole_is_part_of_its_polygon(masks):
    (polygon, ) = mask_polygons(crop_mask(masks[0]))
    # through centres of pixels: half a pixel inside the square, and round the holes, whose four
    # corners are cut off
    assert cv2.contourArea(polygon) == 24 * 19 - (5 * 7 - 4 / 2) - (9 * 11 - 4 / 2)


def test_the_largest_part_comes_first_and_one_pixel_has_a_point_three_times():
    mask = np.zeros((8, 8), bool)
    mask[0, 0] = mask[4:7, 4:8] = True
    large, small = mask_polygons(crop_mask(mask))
    assert large.min() == 4 and small.tolist() == [[0, 0]] * 3


def test_an_island_in_a_hole_is_a_part_of_its_own():
    mask = np.ones((15, 15), bool)
    mask[3:12, 3:12] = False
    mask[6:9, 6:9] = True
    frame, island = mask_polygons(crop_mask(mask))
    assert len(island) == 4 and island.min() == 6 and island.max() == 8
    assert cv2.contourArea(frame) == 14 * 14 - (10 * 10 - 4 / 2)


def test_a_mask_without_pixels_has_no_polygons():
    assert mask_polygons(crop_mask(np.zeros((5, 5), bool))) == []


def test_joined_parts_differ_from_the_mask_by_a_line():
    mask = np.zeros((30, 60), bool)
    mask[5:25, 5:20] = mask[8:20, 26:40] = mask[28, 50] = True
    joined = fill_opencv([join_polygons(mask_polygons(crop_mask(mask)))], mask.shape)
    assert joined[mask].all()
    assert 6 <= (joined & ~mask).sum() <= 6 + 10  # columns 20 to 25, and from (39, 19) to (50, 28)


def test_every_part_is_joined_by_one_bridge():
    mask = np.random.default_rng(0).random((60, 60)) < 0.2
    polygons = mask_polygons(crop_mask(mask))
    assert len(polygons) > 200
    joined = join_polygons(polygons)
    assert len(joined) == sum(map(len, polygons)) + 2 * (len(polygons) - 1)
    assert {*map(tuple, joined)} == {tuple(point) for each in polygons for point in each}
