"""Damaged inputs of every format are read correctly or refused with an error of the package."""
import signal
from collections import Counter
from importlib.util import find_spec

import fuzz
import pytest
from fuzzing import FORMATS, open_format

INPUTS = 50
SECONDS = 10


@pytest.fixture(autouse=True)
def alarm():
    """The handler that a bound on time needs."""
    before = signal.signal(signal.SIGPROF, fuzz._ring)
    yield
    signal.signal(signal.SIGPROF, before)


@pytest.mark.parametrize('name', FORMATS)
def test_damaged_inputs_are_read_correctly_or_refused(name, tmp_path):
    if name == 'exported' and not (find_spec('onnx') and find_spec('onnxruntime')):
        pytest.skip('exported models need onnx and onnxruntime')
    subject = open_format(name, tmp_path / 'in')
    outcomes = []
    for number in range(INPUTS):
        subject.write(fuzz.generator(name, 1, number))
        outcomes.append(fuzz.judge(subject, number, SECONDS))
    failed = [each for each in outcomes if each.kind not in ('correct', 'refused')]
    assert not failed
    kinds = Counter(each.kind for each in outcomes)
    assert kinds['correct'] and kinds['refused']  # there is damage, and not of everything


@pytest.mark.parametrize('name', FORMATS)
def test_an_input_can_be_made_again(name):
    first, again = (fuzz.generator(name, 1, 7).bytes(8) for _ in range(2))
    others = {fuzz.generator(other, 1, 7).bytes(8) for other in FORMATS if other != name}
    assert first == again != fuzz.generator(name, 2, 7).bytes(8)
    assert first not in others
