import json

import numpy as np
import pytest
import torch

from mmseg_instbox.core.instances import InstanceMasks
from mmseg_instbox.utils.run_lengths import (
    crop_mask,
    decode_mask,
    encode_crop,
    encode_mask,
    mask_crops,
)


def test_a_code_by_hand():
    code = encode_mask(np.array([[False, True], [True, True]]))
    # down the columns: one 0, three 1
    assert code == dict(size=[2, 2], counts='13')


def test_codes_survive_json():
    rng = np.random.default_rng(0)
    for share in (0, 0.1, 0.7, 1):
        mask = rng.random((7, 12)) < share
        assert (decode_mask(json.loads(json.dumps(encode_mask(mask)))) == mask).all()


@pytest.mark.parametrize('share', [0, 0.05, 0.6, 1])
@pytest.mark.parametrize('rows, columns', [
    (slice(0, 7), slice(0, 12)), (slice(2, 4), slice(5, 9)), (slice(0, 3), slice(9, 12)),
    (slice(6, 7), slice(0, 1)), (slice(0, 7), slice(3, 6))])
def test_the_code_of_a_crop_is_that_of_the_full_mask(share, rows, columns):
    mask = np.zeros((7, 12), bool)
    mask[rows, columns] = np.random.default_rng(0).random((7, 12))[rows, columns] < share
    crop = crop_mask(mask)
    assert encode_crop(crop, (7, 12)) == encode_mask(mask)
    again = np.zeros_like(mask)
    again[crop.window] = crop.pixels
    assert (again == mask).all()


def test_crops_of_all_kinds_of_masks():
    inst_map = torch.tensor([[9, 0, 0, 3], [9, 9, 0, 3], [0, 0, 0, 3]])
    masks = InstanceMasks(inst_map, torch.tensor([3, 9, 5]))
    planes = inst_map[None] == torch.tensor([3, 9, 5])[:, None, None]
    expected = [([[True]] * 3, 3, 0), ([[True, False], [True, True]], 0, 0), ([], 0, 0)]
    for given in (masks, planes, planes.numpy(), list(planes.numpy()),
                  [encode_mask(each) for each in planes.numpy()]):
        found = [(crop.pixels.tolist(), crop.left, crop.top) for crop in mask_crops(given)]
        assert found == expected
    assert masks.inst_map is not None
