import numpy as np
import pytest

from mmseg_instbox.evaluation.functional import (
    category_areas,
    count_values,
    find_runs,
    panoptic_counts,
    predicted_segments,
    region_overlap,
    true_segments,
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
    runs = find_runs(masks, maps)
    assert np.array_equal(spread(runs.masks, runs.lengths), masks.reshape(5, -1))
    for run, whole in zip(runs.maps, maps, strict=True):
        assert np.array_equal(spread(run, runs.lengths), whole.ravel())
    assert runs.lengths.sum() == 1200 and 20 < len(runs.lengths) < 600


def test_no_run_could_be_longer():
    masks, maps = scene(2)
    runs = find_runs(masks, maps)
    together = np.concatenate([runs.masks, np.stack(runs.maps)])
    assert (together[:, 1:] != together[:, :-1]).any(0).all()


def test_by_hand():
    runs = find_runs(np.array([[[0, 0, 1], [1, 1, 0]]], bool), [np.array([[7, 7, 7], [7, 8, 8]])])
    assert runs.masks.tolist() == [[False, True, True, False]]
    assert runs.maps[0].tolist() == [7, 7, 8, 8] and runs.lengths.tolist() == [2, 2, 1, 1]
    assert count_values(runs.maps[0], 10, runs.lengths).tolist() == [0] * 7 + [4, 2, 0]


@pytest.mark.parametrize('size', [(1, 1), (1, 7), (7, 1)])
def test_nothing_but_one_value(size):
    runs = find_runs(np.zeros((0, *size), bool), [np.full(size, 3)])
    assert runs.masks.shape == (0, 1) and runs.maps[0].tolist() == [3]
    assert runs.lengths.tolist() == [size[0] * size[1]]


@pytest.mark.parametrize('seed', range(4))
def test_all_counts_are_those_of_the_pixels(seed):
    masks, maps = scene(seed)
    runs = find_runs(masks, maps)
    labels, scores, ids = np.array([0, 1, 0, 1, 1]), np.array([.5, .9, .1, .5, .3]), [4, 3, 2, 1]
    ids = [index for index in ids if (maps[2] == index).any()]
    gt_labels = np.arange(len(ids)) % 2

    def count(masks, predicted, truth, inst_map, lengths=None):
        overlap = region_overlap(masks, inst_map, ids, lengths)
        areas = category_areas(predicted, truth, 5, lengths)
        found = predicted_segments(masks, labels, scores, predicted, [3, 2], 5)
        true = true_segments(inst_map, ids, gt_labels, truth, [3, 2], 5)
        return [*overlap, *areas, panoptic_counts(found, true, 5, lengths)]

    for one, other in zip(count(masks, *maps), count(runs.masks, *runs.maps, runs.lengths),
                          strict=True):
        assert one.dtype == other.dtype and np.array_equal(one, other)
