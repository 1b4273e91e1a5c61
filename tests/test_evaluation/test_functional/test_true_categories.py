import torch

from mmseg_instbox.evaluation.functional import true_category_map, true_category_scores


def test_void_becomes_background():
    given = torch.tensor([[0, 2, 255]], dtype=torch.uint8)
    assert true_category_map(given).tolist() == [[0, 2, 0]]
    assert given.tolist() == [[0, 2, 255]]


def test_cells_take_the_category_under_their_centre():
    # 4 x 6 pixels, 2 x 3 cells: the centres are the pixels (1, 1), (1, 3), (1, 5), (3, 1), ...
    seg_map = torch.zeros((4, 6), dtype=torch.int64)
    seg_map[1, 1], seg_map[1, 5], seg_map[3, 3] = 1, 2, 1
    scores = true_category_scores(seg_map, (2, 3), (4, 6), 3)
    assert scores.shape == (3, 2, 3) and scores.dtype == torch.float32
    assert scores.argmax(0).tolist() == [[1, 0, 2], [0, 1, 0]]
    assert torch.equal(scores.sum(0), torch.ones(2, 3))


def test_cells_in_the_padding_are_background():
    seg_map = torch.full((3, 5), 2)
    scores = true_category_scores(seg_map, (2, 2), (8, 10), 3)
    # centres x = 2.5, 7.5 and y = 2, 6: only the first cell lies in the image
    assert scores.argmax(0).tolist() == [[2, 0], [0, 0]]


def test_a_fractional_extent():
    seg_map = torch.tensor([[0, 1, 2, 1]])
    # centres x = 0.75, 2.25, 3.75 over an extent of 4.5 pixels
    assert true_category_scores(seg_map, (1, 3), (1., 4.5), 3).argmax(0).tolist() == [[0, 2, 1]]
