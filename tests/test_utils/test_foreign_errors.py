"""What other packages raise on bad input becomes a sentence."""
import pytest

from mmseg_instbox.errors import InvalidInputError, MissingFileError
from mmseg_instbox.utils.foreign_errors import MAX_REASON, convert_errors, describe


def test_what_another_package_raises_becomes_a_sentence_that_keeps_its_cause():
    with pytest.raises(InvalidInputError, match=r"^x.json cannot be read \(KeyError: 'size'\)\.$"
                       ) as caught, convert_errors('x.json cannot be read'):
        raise KeyError('size')
    assert isinstance(caught.value.__cause__, KeyError)


def test_an_error_of_the_family_passes_as_it_is():
    with pytest.raises(MissingFileError, match='^gone$'), convert_errors('x cannot be read'):
        raise MissingFileError('gone')


def test_kinds_that_bad_input_does_not_lead_to_stay_what_they_are():
    with pytest.raises(ZeroDivisionError), convert_errors('x cannot be built', KeyError, TypeError):
        raise ZeroDivisionError


def test_a_foreign_message_becomes_one_line_of_bounded_length():
    with pytest.raises(InvalidInputError) as caught, convert_errors('x cannot be read'):
        raise RuntimeError('a\n  b ' * 1000)
    assert '\n' not in str(caught.value)
    assert len(str(caught.value)) < MAX_REASON + 40


@pytest.mark.parametrize('error, text', [
    (MissingFileError('a.jpg: no such file'), 'a.jpg: no such file'),
    (OSError('disk full'), 'disk full'),
    (RuntimeError('out of\nmemory'), 'a.jpg: unexpected RuntimeError: out of memory'),
    (KeyError('size'), "a.jpg: unexpected KeyError: 'size'")])
def test_unexpected_errors_are_described_with_their_type(error, text):
    assert describe(error, 'a.jpg') == text
