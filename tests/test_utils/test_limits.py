"""Limits of inputs, and how a user raises them."""
import pytest

from mmseg_instbox.errors import InvalidInputError, TooLargeError
from mmseg_instbox.utils.limits import LIMITS, check_limit, limit


@pytest.mark.parametrize('name', LIMITS)
def test_what_the_sentence_says_raises_the_limit(name, monkeypatch):
    number = LIMITS[name].default + 1
    check_limit(name, number - 1, 'x.json')
    with pytest.raises(TooLargeError, match='^x.json has .*raise the limit') as caught:
        check_limit(name, number, 'x.json')
    variable, _, value = str(caught.value).rpartition(': ')[2].partition('=')
    monkeypatch.setenv(variable, value)
    check_limit(name, number, 'x.json')
    with pytest.raises(TooLargeError):
        check_limit(name, limit(name) + 1, 'x.json')


@pytest.mark.parametrize('text', ['', '0', '-1', '1e9', 'many', '٣', '9' * 30])
def test_a_limit_that_is_no_number_is_named(text, monkeypatch):
    monkeypatch.setenv('INSTBOX_MAX_PIXELS', text)
    with pytest.raises(InvalidInputError, match='variable INSTBOX_MAX_PIXELS is'):
        limit('pixels')
