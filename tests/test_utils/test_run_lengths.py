import json
import time

import numpy as np
import pytest
import torch
from pycocotools import mask as mask_tools

from mmseg_instbox.core.instances import InstanceMasks
from mmseg_instbox.utils.run_lengths import (
    Crop,
    crop_mask,
    decode_crop,
    decode_mask,
    decompress_counts,
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
    code = encode_crop(crop, (7, 12))
    assert code == encode_mask(mask)
    decoded = decode_crop(dict(code, counts=code['counts'].encode()))
    assert np.array_equal(decoded.pixels, crop.pixels)
    assert (decoded.left, decoded.top) == (crop.left, crop.top)
    again = np.zeros_like(mask)
    again[crop.window] = crop.pixels
    assert (again == mask).all()


def test_counts_are_decompressed_as_pycocotools_does():
    rng = np.random.default_rng(0)
    for share in (0, 0.01, 0.3, 0.9):
        flat = (rng.random((300, 200)) < share).ravel().astype(np.uint8)
        encoded = mask_tools.encode(np.asfortranarray(flat.reshape(300, 200, order='F')))
        runs = decompress_counts(encoded['counts'].decode())
        values = np.arange(len(runs)) % 2
        assert np.array_equal(np.repeat(values, runs), flat)


def test_a_small_mask_of_a_large_image_is_decoded_at_once():
    shape = (12_000, 12_000)
    code = encode_crop(Crop(np.ones((30, 20), bool), 11_000, 9_000), shape)
    start = time.process_time()
    for _ in range(100):
        assert decode_crop(code).pixels.all()
    assert time.process_time() - start < 1  # a plane of all pixels takes a tenth of a second


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
