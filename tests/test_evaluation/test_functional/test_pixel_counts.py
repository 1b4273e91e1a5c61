import numpy as np
import pytest
import torch
from mmseg.evaluation.metrics import IoUMetric

from mmseg_instbox.evaluation.functional.panoptic_quality import (
    panoptic_counts,
    predicted_segments,
    true_segments,
)
from mmseg_instbox.evaluation.functional.pixel_counts import (
    category_areas,
    count_values,
    find_runs,
    object_columns,
    region_overlap,
)


def scene(seed, size=(30, 40)):
    """Rectangles in masks, some of them overlapping, and in two category maps and ids."""
    random = np.random.default_rng(seed)
    masks, maps = np.zeros((5, *size), bool), np.zeros((3, *size), int)
    for layer in (*masks, *maps):
        for value in random.integers(1, 5, 4):
            y, x, height, width = random.integers(1, 20, 4)
            layer[y:y + height, x:x + width] = value
    maps[1:][:, :, random.integers(40)] = 255
    return masks, tuple(maps)


def spread(values, lengths):
    return np.repeat(values, lengths, axis=-1)


@pytest.mark.parametrize('seed', [0, 1])
def test_runs_are_the_image_again(seed):
    masks, maps = scene(seed)
    run_masks, run_maps, lengths = find_runs(masks, maps)
    assert np.array_equal(spread(run_masks, lengths), masks.reshape(5, -1))
    for run, whole in zip(run_maps, maps, strict=True):
        assert np.array_equal(spread(run, lengths), whole.ravel())
    assert lengths.sum() == 1200 and 20 < len(lengths) < 600


def test_no_run_could_be_longer():
    masks, maps = scene(2)
    run_masks, run_maps, lengths = find_runs(masks, maps)
    together = np.concatenate([run_masks, np.stack(run_maps)])
    assert (together[:, 1:] != together[:, :-1]).any(0).all()


def test_by_hand():
    masks, maps = np.array([[[0, 0, 1], [1, 1, 0]]], bool), [np.array([[7, 7, 7], [7, 8, 8]])]
    run_masks, run_maps, lengths = find_runs(masks, maps)
    assert run_masks.tolist() == [[False, True, True, False]]
    assert run_maps[0].tolist() == [7, 7, 8, 8] and lengths.tolist() == [2, 2, 1, 1]
    assert count_values(run_maps[0], 10, lengths).tolist() == [0] * 7 + [4, 2, 0]


@pytest.mark.parametrize('size', [(1, 1), (1, 7), (7, 1)])
def test_nothing_but_one_value(size):
    run_masks, run_maps, lengths = find_runs(np.zeros((0, *size), bool), [np.full(size, 3)])
    assert run_masks.shape == (0, 1) and run_maps[0].tolist() == [3]
    assert lengths.tolist() == [size[0] * size[1]]


@pytest.mark.parametrize('seed', range(4))
def test_all_counts_are_those_of_the_pixels(seed):
    masks, maps = scene(seed)
    run_masks, run_maps, lengths = find_runs(masks, maps)
    labels, scores, ids = np.array([0, 1, 0, 1, 1]), np.array([.5, .9, .1, .5, .3]), [4, 3, 2, 1]
    ids = [index for index in ids if (maps[2] == index).any()]
    gt_labels = np.arange(len(ids)) % 2

    def count(masks, predicted, truth, inst_map, lengths=None):
        overlap = region_overlap(masks, inst_map, ids, lengths)
        areas = category_areas(predicted, truth, 5, lengths)
        found = predicted_segments(masks, labels, scores, predicted, [3, 2], 5)
        true = true_segments(inst_map, ids, gt_labels, truth, [3, 2], 5)
        return [*overlap, *areas, panoptic_counts(found, true, 5, lengths)]

    for one, other in zip(count(masks, *maps), count(run_masks, *run_maps, lengths),
                          strict=True):
        assert one.dtype == other.dtype and np.array_equal(one, other)


def to_set(mask):
    return {(y, x) for y, x in np.argwhere(mask).tolist()}


def test_golden_overlap():
    inst_map = np.array([[7, 7, 0, 300], [7, 7, 0, 300]])
    masks = np.array([[[1, 1, 1, 0], [0, 0, 0, 0]], [[0, 0, 0, 1], [0, 0, 0, 1]]], bool)
    overlap = region_overlap(masks, inst_map, [300, 7])
    ious, kept = overlap.ious, overlap.kept
    # first mask: 3 pixels, 2 of them on object 7, which has 4: 2 / (3 + 4 - 2)
    assert ious.dtype == np.float64
    assert ious.tolist() == [[0., 2 / 5], [1., 0.]]
    assert kept.tolist() == [True, True]


def test_void_is_removed_and_empties():
    inst_map = np.array([[1, 1, 255, 255]])
    masks = np.array([[[1, 1, 1, 1]], [[0, 0, 1, 1]], [[0, 0, 0, 0]]], bool)
    overlap = region_overlap(masks, inst_map, [1])
    ious, kept = overlap.ious, overlap.kept
    assert ious[0].tolist() == [1.]
    # the second one lies in the void only; the third was empty before and is a false detection
    assert kept.tolist() == [True, False, True]
    assert ious[2].tolist() == [0.]


def test_agrees_with_sets_of_pixels():
    random = np.random.default_rng(3)
    inst_map = random.integers(0, 5, (9, 11))
    inst_map[inst_map == 4] = 255
    masks, ids = random.random((6, 9, 11)) < 0.4, [3, 1, 2]
    ious = region_overlap(masks, inst_map, ids).ious
    for k, mask in enumerate(masks):
        pixels = to_set(mask & (inst_map != 255))
        for g, index in enumerate(ids):
            truth = to_set(inst_map == index)
            assert ious[k, g] == len(pixels & truth) / len(pixels | truth)


def test_empty_sides():
    inst_map = np.array([[0, 1]])
    assert region_overlap(np.zeros((0, 1, 2), bool), inst_map, [1]).ious.shape == (0, 1)
    overlap = region_overlap(np.ones((1, 1, 2), bool), inst_map, [])
    assert overlap.ious.shape == (1, 0) and overlap.kept.all()


def test_counts_by_hand():
    inst_map = np.array([[7, 7, 0, 300], [7, 255, 255, 300]])
    masks = np.array([[[1, 1, 1, 0], [0, 1, 0, 0]], [[0, 0, 0, 0], [0, 1, 1, 0]]], bool)
    overlap = region_overlap(masks, inst_map, [300, 7])
    assert overlap.intersections.tolist() == [[0, 2], [0, 0]]
    assert overlap.areas.tolist() == [3, 0] and overlap.in_void.tolist() == [1, 2]
    assert overlap.object_areas.tolist() == [2, 3]
    assert overlap.ious.tolist() == [[0., 2 / 4], [0., 0.]]
    assert overlap.kept.tolist() == [True, False]


@pytest.mark.parametrize('ids', [[9, 3, 256], [65535, 1, 65536], [2**31 - 1, 70000, 5], []])
@pytest.mark.parametrize('others', [[0, 255], [0, 255, 4, 65537], [-1, 255]])
def test_pixels_are_named_by_the_place_of_their_id(ids, others):
    values = np.array([*ids, *others])
    inst_map = np.random.default_rng(0).choice(values, (13, 17)).astype(np.int32)
    expected = [[ids.index(v) if v in ids else len(ids) + (v != 255) for v in line]
                for line in inst_map.tolist()]
    assert object_columns(inst_map, ids).tolist() == expected


def test_more_objects_than_a_byte_can_number():
    inst_map = np.arange(600, dtype=np.int32).reshape(20, 30)
    ids = np.setdiff1d(inst_map, [0, 255])
    overlap = region_overlap((inst_map == 0)[None] | (inst_map == ids[::-1][:, None, None]),
                             inst_map, ids)
    assert np.array_equal(overlap.intersections, np.eye(598, dtype=int)[::-1])


def test_masks_need_not_be_contiguous():
    inst_map = np.random.default_rng(0).integers(0, 4, (9, 11))
    masks = np.random.default_rng(1).random((11, 9, 5)) < 0.5
    turned = region_overlap(masks.transpose(2, 1, 0), inst_map, [1, 2, 3])
    plain = region_overlap(masks.transpose(2, 1, 0).copy(), inst_map, [1, 2, 3])
    assert all(np.array_equal(*pair) for pair in zip(turned, plain, strict=True))


@pytest.mark.parametrize('num_classes', [1, 4, 21, 150, 255])
def test_category_areas_agree_with_mmseg(num_classes):
    random = np.random.default_rng(num_classes)
    predicted, truth = random.integers(0, num_classes, (2, 30, 40)).astype(np.uint8)
    truth[random.random(truth.shape) < 0.2] = 255
    areas = IoUMetric.intersect_and_union(
        torch.from_numpy(predicted), torch.from_numpy(truth), num_classes, 255)
    intersect, union = category_areas(predicted, truth, num_classes)
    assert intersect.tolist() == areas[0].tolist() and union.tolist() == areas[1].tolist()
    assert 0 < intersect.sum() < union.sum() or num_classes == 1


def test_category_areas_by_hand():
    intersect, union = category_areas(np.array([[0, 1, 1, 2]]), np.array([[0, 1, 2, 255]]), 3)
    assert intersect.tolist() == [1, 1, 0]
    assert union.tolist() == [1, 2, 1]  # the 2 that is predicted on void does not count
