import json

import numpy as np

from mmseg_instbox.utils.run_lengths import decode_mask, encode_mask


def test_a_code_by_hand():
    code = encode_mask(np.array([[False, True], [True, True]]))
    # down the columns: one 0, three 1
    assert code == dict(size=[2, 2], counts='13')


def test_codes_survive_json():
    rng = np.random.default_rng(0)
    for share in (0, 0.1, 0.7, 1):
        mask = rng.random((7, 12)) < share
        assert (decode_mask(json.loads(json.dumps(encode_mask(mask)))) == mask).all()
