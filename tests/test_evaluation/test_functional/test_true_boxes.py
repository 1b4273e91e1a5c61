import torch

from mmseg_instbox.evaluation.functional import true_boxes


def test_a_cell_has_the_box_of_the_object_at_its_centre():
    inst_map = torch.zeros(8, 12, dtype=torch.int32)
    inst_map[:, :6], inst_map[2:6, 6:9], inst_map[0, :] = 300, 7, 255
    ids = torch.tensor([300, 7])  # in any order
    bboxes = torch.tensor([[0., 1, 6, 8], [6, 2, 9, 6]])
    boxes = true_boxes(inst_map, ids, bboxes, (2, 3), (8, 12))  # centres at x 2, 6, 10 and y 2, 6
    assert boxes.dtype == torch.float32 and boxes.shape == (4, 2, 3)
    assert boxes[:, 0, 0].tolist() == boxes[:, 1, 0].tolist() == [0, 1, 6, 8]
    assert boxes[:, 0, 1].tolist() == [6, 2, 9, 6]
    assert boxes[:, 1, 1].isnan().all()  # row 6 is below the second object
    assert boxes[:, :, 2].isnan().all()


def test_void_and_objects_that_are_not_listed_have_no_box():
    inst_map = torch.tensor([[1, 255, 9, 2]])
    boxes = true_boxes(inst_map, torch.tensor([1, 2]), torch.tensor([[0., 0, 1, 1], [3, 0, 4, 1]]),
                       (1, 4), (1, 4))
    assert boxes[0, 0].isnan().tolist() == [False, True, True, False]
    assert true_boxes(inst_map, torch.zeros(0), torch.zeros(0, 4), (1, 4), (1, 4)).isnan().all()


def test_cells_beyond_the_image_have_no_box():
    inst_map = torch.ones(4, 4, dtype=torch.int32)
    boxes = true_boxes(inst_map, torch.tensor([1]), torch.tensor([[0., 0, 4, 4]]), (2, 2), (8., 6.))
    # centres at y 2 and 6, of which the second is padding, and x 1.5 and 4.5
    assert boxes[0].isnan().tolist() == [[False, True], [True, True]]
