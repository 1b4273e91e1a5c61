import numpy as np

from mmseg_instbox.evaluation.functional.confusion import confusion_matrix


def test_a_hand_made_image():
    ious = np.array([[.9, 0, 0], [.8, 0, 0], [0, .6, .2], [0, 0, .4]])
    matrix = confusion_matrix(ious, np.array([0, 1, 1, 0]), np.array([0, 0, 1]),
                              np.array([.5, .9, .8, .7]), 2)
    # the second prediction is surest and takes object 0; the first finds nothing then
    np.testing.assert_array_equal(matrix, [[0, 2, 0], [0, 0, 1], [2, 0, 0]])


def test_nothing_predicted_and_nothing_there():
    empty = np.zeros(0, int)
    matrix = confusion_matrix(np.zeros((0, 2)), empty, np.array([0, 1]), np.zeros(0), 2)
    np.testing.assert_array_equal(matrix, [[0, 0, 1], [0, 0, 1], [0, 0, 0]])
    matrix = confusion_matrix(np.zeros((1, 0)), np.array([1]), empty, np.ones(1), 2)
    np.testing.assert_array_equal(matrix, [[0, 0, 0], [0, 0, 0], [0, 1, 0]])
