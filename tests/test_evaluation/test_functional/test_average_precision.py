from fractions import Fraction

import numpy as np
import pytest

from mmseg_instbox.evaluation.functional.average_precision import (
    average_precision,
    average_precision_table,
    confusion_matrix,
    match_detections,
)


def by_definition(hits, num_objects):
    """Sum over the steps of recall of the best precision at that recall or a higher one."""
    points = [(sum(hits[:n]), Fraction(sum(hits[:n]), n)) for n in range(1, len(hits) + 1)]
    total = Fraction(0)
    for found in range(1, num_objects + 1):
        total += max([precision for recall, precision in points if recall >= found], default=0)
    return total / num_objects


def ap(hits, num_objects):
    return average_precision(np.array(hits, dtype=bool), num_objects)


def test_hand_computed():
    # true, false, true with 2 objects: precisions 1, 1/2, 2/3; recall 1/2, 1/2, 1.
    # Envelope 1 up to recall 1/2, then 2/3: AP = 1/2 * 1 + 1/2 * 2/3 = 5/6
    assert ap([1, 0, 1], 2) == pytest.approx(5 / 6, abs=1e-15)
    # false, true, true with 4 objects: precisions 0, 1/2, 2/3; the envelope is 2/3 up to recall
    # 2/4 and 0 beyond: AP = 1/4 * 2/3 + 1/4 * 2/3 = 1/3
    assert ap([0, 1, 1], 4) == pytest.approx(1 / 3, abs=1e-15)
    assert ap([1, 1], 2) == 1.
    # a false detection after everything is found costs nothing
    assert ap([1, 1, 0, 0], 2) == 1.


def test_nothing_found_and_nothing_to_find():
    assert ap([], 3) == 0.
    assert ap([0, 0], 3) == 0.
    assert np.isnan(ap([0], 0))


@pytest.mark.parametrize('seed', range(20))
def test_agrees_with_the_definition(seed):
    random = np.random.default_rng(seed)
    hits = random.random(random.integers(1, 40)) < 0.6
    num_objects = int(hits.sum() + random.integers(1, 5))
    expected = by_definition([int(hit) for hit in hits], num_objects)
    assert ap(hits, num_objects) == pytest.approx(float(expected), abs=1e-14)


def test_table_separates_categories_and_orders_by_score():
    labels = np.array([0, 1, 0, 1])
    scores = np.array([0.1, 0.9, 0.2, 0.3])
    hits = np.array([[1, 0], [1, 1], [0, 0], [0, 1]], dtype=bool)
    table = average_precision_table(labels, scores, hits, np.array([1, 2, 0]))
    # category 0: false then true, 1 object: 1/2; nothing at the second threshold
    # category 1: true, false with 2 objects: 1/2; at the second threshold both: 1
    assert table[:2].tolist() == [[0.5, 0.], [0.5, 1.]]
    assert np.isnan(table[2]).all()


def test_equal_scores_keep_their_order():
    scores, labels, objects = np.full(2, 0.5), np.zeros(2, int), np.array([1])
    first = average_precision_table(labels, scores, np.array([[True], [False]]), objects)
    last = average_precision_table(labels, scores, np.array([[False], [True]]), objects)
    assert (first.item(), last.item()) == (1., 0.5)


def match(ious, scores, thresholds=(0.5,), pred_labels=None, gt_labels=None):
    ious = np.array(ious, dtype=float)
    pred_labels = np.zeros(ious.shape[0], int) if pred_labels is None else np.array(pred_labels)
    gt_labels = np.zeros(ious.shape[1], int) if gt_labels is None else np.array(gt_labels)
    return match_detections(ious, pred_labels, gt_labels, np.array(scores), thresholds) >= 0


def test_threshold_is_strict():
    assert match([[0.5]], [1.]).tolist() == [[False]]
    assert match([[0.5 + 1e-9]], [1.]).tolist() == [[True]]
    # 3 / 10 is the same number as the threshold 0.3, so it does not pass it
    assert match([[3 / 10]], [1.], [0.3]).tolist() == [[False]]


def test_second_detection_of_an_object_is_false():
    assert match([[0.9], [0.95]], [0.8, 0.7]).tolist() == [[True], [False]]


def test_best_among_the_free_ones():
    # the second detection prefers object 0, which is taken, and falls back on object 1
    hits = match([[0.9, 0.1], [0.8, 0.6]], [0.9, 0.5])
    assert hits.tolist() == [[True], [True]]


def test_score_decides_the_order_and_ties_keep_it():
    assert match([[0.6], [0.9]], [0.1, 0.2]).tolist() == [[False], [True]]
    assert match([[0.6], [0.9]], [0.2, 0.2]).tolist() == [[True], [False]]


def test_each_threshold_has_its_own_matching():
    # at 0.5 the first takes the object; at 0.7 it fails and leaves it to the second
    hits = match([[0.6], [0.8]], [0.9, 0.5], [0.5, 0.7])
    assert hits.tolist() == [[True, False], [False, True]]


def test_categories_do_not_mix():
    hits = match([[0.9, 0.6]], [1.], pred_labels=[1], gt_labels=[0, 1])
    assert hits.tolist() == [[True]]
    assert not match([[0.9]], [1.], pred_labels=[1], gt_labels=[0]).any()


def test_nothing_on_either_side():
    assert match(np.zeros((2, 0)), [1., 1.]).tolist() == [[False], [False]]
    assert match(np.zeros((0, 2)), []).shape == (0, 1)


def test_confusion_of_an_image_by_hand():
    ious = np.array([[.9, 0, 0], [.8, 0, 0], [0, .6, .2], [0, 0, .4]])
    matrix = confusion_matrix(ious, np.array([0, 1, 1, 0]), np.array([0, 0, 1]),
                              np.array([.5, .9, .8, .7]), 2)
    # the second prediction is surest and takes object 0; the first finds nothing then
    np.testing.assert_array_equal(matrix, [[0, 2, 0], [0, 0, 1], [2, 0, 0]])


def test_confusion_where_nothing_is_predicted_or_there():
    empty = np.zeros(0, int)
    matrix = confusion_matrix(np.zeros((0, 2)), empty, np.array([0, 1]), np.zeros(0), 2)
    np.testing.assert_array_equal(matrix, [[0, 0, 1], [0, 0, 1], [0, 0, 0]])
    matrix = confusion_matrix(np.zeros((1, 0)), np.array([1]), empty, np.ones(1), 2)
    np.testing.assert_array_equal(matrix, [[0, 0, 0], [0, 0, 0], [0, 1, 0]])
