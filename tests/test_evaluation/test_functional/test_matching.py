import numpy as np

from mmseg_instbox.evaluation.functional import match_detections


def match(ious, scores, thresholds=(0.5,), pred_labels=None, gt_labels=None):
    ious = np.array(ious, dtype=float)
    pred_labels = np.zeros(ious.shape[0], int) if pred_labels is None else np.array(pred_labels)
    gt_labels = np.zeros(ious.shape[1], int) if gt_labels is None else np.array(gt_labels)
    return match_detections(ious, pred_labels, gt_labels, np.array(scores), thresholds)


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
