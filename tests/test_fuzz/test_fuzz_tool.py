"""The fuzzer sees what it is there to see."""
import signal
import sys

import fuzz
import numpy as np
import pytest
from fuzzing import WrongResult
from fuzzing.images import with_check_sums
from fuzzing.mutations import mutate_bytes, mutate_tree

from mmseg_instbox.errors import InvalidInputError


class Subject:
    """A reader that does as it is told."""

    def __init__(self, read):
        self.read = read


def raising(error):
    def read():
        raise error
    return Subject(read)


def busy():
    while True:
        pass


@pytest.fixture(autouse=True)
def alarm():
    before = signal.signal(signal.SIGPROF, fuzz._ring)
    yield
    signal.signal(signal.SIGPROF, before)


@pytest.mark.parametrize('subject, kind', [
    (Subject(lambda: None), 'correct'),
    (raising(InvalidInputError('x.png: the mask is broken. Replace it.')), 'refused'),
    (raising(InvalidInputError('x')), 'no sentence'),
    (raising(InvalidInputError('long ' * 1000)), 'no sentence'),
    (raising(ValueError('x.png: from the depths of another package')), 'other exception'),
    (raising(MemoryError()), 'other exception'),
    (raising(WrongResult('two categories')), 'wrong'),
    (Subject(busy), 'too slow'),
])
def test_outcomes_are_told_apart(subject, kind):
    assert fuzz.judge(subject, 3, 0.2).kind == kind


def watch(code, seconds=0.2):
    return fuzz._watch([sys.executable, '-c', code], 5, seconds)


ANSWER = 'import json; print(json.dumps(dict(number=5, kind="correct")), flush=True); '


def test_a_process_that_dies_or_hangs_is_told_with_the_input_it_was_at(monkeypatch):
    monkeypatch.setattr(fuzz, 'GRACE', 0.5)
    assert [each[:2] for each in watch(ANSWER)] == [(5, 'correct')]
    died = watch(ANSWER + 'import os; os.abort()')
    assert [each[:2] for each in died] == [(5, 'correct'), (6, 'crash')]
    hung = watch(ANSWER + 'import time; time.sleep(60)')
    assert [each[:2] for each in hung] == [(5, 'correct'), (6, 'hang')]


def test_memory_is_bounded():
    code = ('import sys; sys.path.insert(0, sys.argv[1]); import fuzz, numpy; '
            'fuzz.bound_memory(0.3); numpy.ones(10**9, numpy.uint8)')
    done = fuzz.subprocess.run([sys.executable, '-c', code, str(fuzz.HERE)], capture_output=True)
    assert done.returncode == 1 and b'MemoryError' in done.stderr


def test_damage_changes_most_inputs_and_leaves_the_sound_one():
    rng, data = np.random.default_rng(0), bytes(range(200))
    assert sum(mutate_bytes(data, rng) != data for _ in range(100)) > 90
    tree = dict(a=[1, dict(b='x')], c=2.5)
    assert sum(repr(mutate_tree(tree, rng)) != repr(tree) for _ in range(100)) > 80
    assert tree == dict(a=[1, dict(b='x')], c=2.5)


def test_check_sums_of_a_damaged_png_fit():
    import io

    from PIL import Image
    buffer = io.BytesIO()
    Image.new('L', (8, 8)).save(buffer, 'PNG')
    data = bytearray(buffer.getvalue())
    data[19] ^= 1  # the width
    with pytest.raises(Exception, match='broken PNG|cannot identify'):
        Image.open(io.BytesIO(bytes(data))).load()
    assert Image.open(io.BytesIO(with_check_sums(bytes(data)))).size == (9, 8)
    assert with_check_sums(buffer.getvalue()) == buffer.getvalue()
