import io
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from mmseg_instbox.engine.plain_data import from_plain, not_plain, to_plain


def stored(value):
    """The value after a way through a file that is read weights-only."""
    buffer = io.BytesIO()
    torch.save(value, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


def test_a_history_comes_back_to_the_last_digit_and_goes_on():
    history = HistoryBuffer([0.1, 1 / 3], [1, 2], max_length=3)
    back = from_plain(stored(to_plain(OrderedDict(loss=history))))['loss']
    for new, old in zip(back.data, history.data, strict=True):
        assert new.dtype == old.dtype and np.array_equal(new, old)
    assert back.max_length == 3
    for buffer in (back, history):
        buffer.update(0.7, 5)
        buffer.update(0.2)
    assert back.mean() == history.mean() and len(back.data[0]) == 3


def test_arrays_come_back_and_numbers_become_pythons():
    value = dict(palette=np.arange(6, dtype=np.uint8).reshape(2, 3), eta=np.float64(0.5),
                 folder=Path('a/b'), nested=[(np.int64(3), None)], size=torch.Size([2]))
    plain = to_plain(value)
    assert list(not_plain(plain)) == []
    back = from_plain(stored(plain))
    assert back['palette'].dtype == np.uint8 and np.array_equal(back['palette'], value['palette'])
    assert type(back['eta']) is float and back['eta'] == 0.5
    assert (back['folder'], back['nested'], back['size']) == ('a/b', [(3, None)], torch.Size([2]))


@pytest.mark.parametrize('culprit', [np.float64(1), HistoryBuffer(), object(), Path(), len])
def test_what_is_not_plain_is_found_wherever_it_is(culprit):
    place, = not_plain(dict(meta=[dict(a=(1, culprit))]))
    assert place.startswith("checkpoint['meta'][0]['a'][1] is a ")
    with pytest.raises(Exception, match='(?i)weights'):
        stored(dict(a=culprit))
