"""Images that are loaded ahead."""
import threading

import numpy as np
import pytest

from mmseg_instbox.apis import InputImage
from mmseg_instbox.apis.jobs.worker import read_ahead


def test_order_and_errors_stay():

    def load(number):
        if number == 3:
            raise ValueError('broken')
        return np.full((2, 2, 3), number, np.uint8)

    images = [InputImage(str(number), None, lambda number=number: load(number))
              for number in range(6)]
    given = list(read_ahead(images, 2))
    assert [image.name for image in given] == list('012345')
    with pytest.raises(ValueError, match='broken'):
        given[3].load()
    assert all(image.load()[0, 0, 0] == number
               for number, image in enumerate(given) if number != 3)


def test_no_more_than_asked_for_is_loaded_ahead():
    started, lock = [], threading.Lock()

    def load():
        with lock:
            started.append(1)

    stream = read_ahead((InputImage(str(number), None, load) for number in range(100)), 3)
    for taken in range(1, 5):
        next(stream).load()
        assert taken <= len(started) <= taken + 3
    stream.close()
    assert len(started) <= 7
