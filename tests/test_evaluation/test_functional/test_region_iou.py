import numpy as np
import pytest
import torch

from mmseg_instbox.evaluation.functional import object_columns, region_iou, region_overlap


def to_set(mask):
    return {(y, x) for y, x in mask.nonzero().tolist()}


def test_golden_case():
    inst_map = torch.tensor([[7, 7, 0, 300],
                             [7, 7, 0, 300]], dtype=torch.int32)
    masks = torch.tensor([[[1, 1, 1, 0], [0, 0, 0, 0]],
                          [[0, 0, 0, 1], [0, 0, 0, 1]]], dtype=torch.bool)
    ious, kept = region_iou(masks, inst_map, torch.tensor([300, 7]))
    # first mask: 3 pixels, 2 of them on object 7, which has 4: 2 / (3 + 4 - 2)
    assert ious.dtype == torch.float64
    assert ious.tolist() == [[0., 2 / 5], [1., 0.]]
    assert kept.tolist() == [True, True]


def test_void_is_removed_and_empties():
    inst_map = torch.tensor([[1, 1, 255, 255]], dtype=torch.int32)
    masks = torch.tensor([[[1, 1, 1, 1]], [[0, 0, 1, 1]], [[0, 0, 0, 0]]], dtype=torch.bool)
    ious, kept = region_iou(masks, inst_map, torch.tensor([1]))
    assert ious[0].tolist() == [1.]
    # the second one lies in the void only; the third was empty before and is a false detection
    assert kept.tolist() == [True, False, True]
    assert ious[2].tolist() == [0.]


def test_agrees_with_sets_of_pixels():
    generator = torch.Generator().manual_seed(3)
    inst_map = torch.randint(0, 5, (9, 11), generator=generator, dtype=torch.int32)
    inst_map[inst_map == 4] = 255
    masks = torch.rand((6, 9, 11), generator=generator) < 0.4
    ids = torch.tensor([3, 1, 2])
    ious, _ = region_iou(masks, inst_map, ids)
    for k, mask in enumerate(masks):
        pixels = to_set(mask & (inst_map != 255))
        for g, index in enumerate(ids):
            truth = to_set(inst_map == index)
            assert ious[k, g] == len(pixels & truth) / len(pixels | truth)


def test_empty_sides():
    inst_map = torch.tensor([[0, 1]], dtype=torch.int32)
    none = torch.zeros((0, 1, 2), dtype=torch.bool)
    assert region_iou(none, inst_map, torch.tensor([1]))[0].shape == (0, 1)
    one = torch.ones((1, 1, 2), dtype=torch.bool)
    ious, kept = region_iou(one, inst_map, torch.zeros(0, dtype=torch.int64))
    assert ious.shape == (1, 0) and kept.all()


def test_object_without_pixels_is_an_error():
    with pytest.raises(ValueError, match=r'no pixel of the objects \[9\]'):
        region_iou(torch.ones((1, 1, 2), dtype=torch.bool), torch.ones((1, 2), dtype=torch.int32),
                   torch.tensor([1, 9]))


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
