"""Panoptic quality by hand. Categories: 0 and 1 are stuff, 2 and 3 things in the order 3, 2."""
import numpy as np
import pytest

from mmseg_instbox.evaluation.functional.panoptic_quality import (
    Segments,
    panoptic_counts,
    panoptic_quality,
    predicted_segments,
    true_segments,
)

THINGS = [3, 2]


def row(values):
    return np.array([values])


def predict(seg_map, masks=(), labels=(), scores=()):
    masks = np.array(masks, bool).reshape(-1, 1, len(seg_map))
    return predicted_segments(masks, np.array(labels, int), np.array(scores), row(seg_map), THINGS,
                              4)


def truth(seg_map, inst_map=None, ids=(), labels=()):
    inst_map = row(inst_map or [0] * len(seg_map)).astype(np.int32)
    return true_segments(inst_map, np.array(ids, int), np.array(labels, int), row(seg_map), THINGS,
                         4)


def categories(segments):
    """Category of each pixel, -1 where there is no segment."""
    padded = np.append(segments.categories, -1)
    return padded[segments.index_map[0]].tolist()


def count(predicted, true):
    """Sum of IoU, matched, false and missed, a list a category."""
    return panoptic_counts(predicted, true, 4).T.tolist()


def test_instances_lie_over_stuff():
    segments = predict([0, 0, 1, 2, 3, 1], [[0, 1, 1, 0, 0, 0]], [0], [.5])
    # a pixel of a thing category in no instance is in no segment
    assert categories(segments) == [0, 3, 3, -1, -1, 1]


def test_higher_score_lies_over_lower():
    masks = [[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]]
    assert predict([0] * 4, masks, [0, 1, 0], [.5, .9, .5]).index_map.tolist() == [[0, 1, 1, 2]]
    # the first of equals
    assert predict([0] * 4, masks, [0, 1, 0], [.5] * 3).index_map.tolist() == [[0, 0, 1, 2]]


def test_an_instance_under_others_is_no_segment():
    true = truth([3, 3, 0], [7, 7, 0], [7], [0])
    found = predict([0] * 3, [[1, 1, 0], [1, 1, 0], [0, 0, 0]], [0, 0, 0], [.9, .8, .7])
    assert count(found, true)[3] == [1., 1., 0., 0.]


def test_void_of_the_truth():
    segments = truth([0, 255, 1, 3, 3, 2, 2], [0, 0, 255, 9, 255, 0, 4], [4, 9], [1, 0])
    # a pixel of a thing category without an object is void as well
    assert categories(segments) == [0, -1, -1, 3, -1, -1, 2]


def test_perfect():
    seg_map = [0, 0, 1, 3, 3, 2, 255]
    true = truth(seg_map, [0, 0, 0, 5, 5, 300, 255], [300, 5], [1, 0])
    found = predict([0, 0, 1, 3, 3, 2, 1],
                    [[0, 0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 0, 1, 0]], [0, 1], [.3, .2])
    assert count(found, true) == [[1., 1., 0., 0.]] * 4


def test_half_is_not_enough():
    true = truth([3, 3, 3, 3, 0], [1, 1, 1, 1, 0], [1], [0])
    half = predict([0] * 5, [[1, 1, 0, 0, 0]], [0], [1.])
    assert count(half, true)[3] == [0., 0., 1., 1.]
    more = predict([0] * 5, [[1, 1, 1, 0, 0]], [0], [1.])
    assert count(more, true)[3] == [0.75, 1., 0., 0.]


def test_another_category_is_false_and_missed():
    true = truth([3, 3, 0], [1, 1, 0], [1], [0])
    found = predict([0] * 3, [[1, 1, 0]], [1], [1.])
    assert count(found, true) == [[1., 1., 0., 0.], [0.] * 4, [0., 0., 1., 0.], [0., 0., 0., 1.]]


def test_void_is_out_of_the_union():
    true = truth([3, 3, 255, 255, 0], [1, 1, 255, 255, 0], [1], [0])
    # 2 shared of 5 predicted, of which 2 are void: 2 / (2 + 5 - 2 - 2)
    found = predict([0] * 5, [[1, 1, 1, 1, 1]], [0], [1.])
    assert count(found, true)[3] == [pytest.approx(2 / 3), 1., 0., 0.]


@pytest.mark.parametrize('mask, false', [([0, 0, 0, 1, 1, 1], 0.), ([0, 0, 1, 1, 1, 0], 0.),
                                         ([0, 0, 1, 1, 0, 0], 1.), ([0, 1, 1, 1, 0, 0], 1.)])
def test_a_prediction_more_than_half_void_does_not_count(mask, false):
    true = truth([0, 0, 0, 255, 255, 255])
    assert count(predict([0] * 6, [mask], [0], [1.]), true)[3] == [0., 0., false, 0.]


def test_an_object_in_the_void_is_not_missed():
    true = truth([0, 255], [0, 4], [4], [0])
    assert count(predict([0, 0]), true)[3] == [0.] * 4


def test_figures():
    # two matches of IoU .6 and .9, one false, two missed; only a false one; a match; nothing
    counts = np.array([[1.5, 2, 1, 2], [0, 0, 1, 0], [.75, 1, 0, 0], [0, 0, 0, 0]]).T
    quality = panoptic_quality(counts)
    assert quality['PQ'][:3].tolist() == pytest.approx([1.5 / 3.5, 0., .75])
    assert quality['SQ'][:3].tolist() == pytest.approx([.75, 0., .75])
    assert quality['RQ'][:3].tolist() == pytest.approx([2 / 3.5, 0., 1.])
    assert all(np.isnan(values[3]) for values in quality.values())


def test_counts_do_not_depend_on_the_order_of_segments():
    random = np.random.default_rng(0)
    maps = random.integers(-1, 6, (2, 9, 9))
    maps[1][:, 3:] = maps[0][:, 3:]
    names = random.integers(0, 4, 6)
    first = panoptic_counts(Segments(maps[0], names), Segments(maps[1], names), 4)
    assert first[1].sum() > 2 and first[2:].sum() > 0
    order = np.array([3, 0, 5, 1, 4, 2])
    place = np.append(order.argsort(), -1)
    again = panoptic_counts(Segments(place[maps[0]], names[order]), Segments(maps[1], names), 4)
    assert np.allclose(first, again, rtol=0, atol=1e-12)
