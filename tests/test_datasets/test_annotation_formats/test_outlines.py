"""Boxes and areas of many objects at once against those of each polygon alone."""
import cv2
import numpy as np
import pytest

from mmseg_instbox.datasets.annotation_formats.outlines import measure_outlines, take_measured

SQUARE = [2, 2, 12, 2, 12, 12, 2, 12]


def test_each_object_has_the_box_and_the_area_of_its_polygons():
    rng = np.random.default_rng(0)
    objects = [[rng.uniform(0, 99, 2 * rng.integers(3, 9)).tolist()
                for _ in range(rng.integers(1, 4))] for _ in range(20)]
    for polygons, (same, box, area) in zip(objects, measure_outlines(objects), strict=True):
        outlines = [np.reshape(each, (-1, 2)) for each in polygons]
        points = np.concatenate(outlines)
        assert same is polygons and box == [*points.min(0), *points.max(0)]
        areas = [cv2.contourArea(each.astype(np.float32)) for each in outlines]
        assert area == pytest.approx(sum(areas), rel=1e-4, abs=1e-2)
    assert [*measure_outlines([])] == []


def test_rows_leave_their_table_with_what_can_be_measured():
    plain = dict(segmentation=[SQUARE])
    odd = [None, dict(segmentation=dict(size=[4, 6], counts=[24])), dict(segmentation=[]),
           dict(segmentation=[SQUARE, [1, 1, 5, 5]]), dict(segmentation=[[1, 1, 5, 'x', 9, 9]])]
    rows = [plain, *odd, plain]
    taken = [*take_measured(rows)]
    assert [row for row, _ in taken] == [plain, *odd, plain] and set(rows) == {None}
    assert [outline for _, outline in taken] == [
        ([SQUARE], [2, 2, 12, 12], 100), *[None] * 5, ([SQUARE], [2, 2, 12, 12], 100)]
