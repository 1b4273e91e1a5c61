"""Turns what other packages raise on bad input into errors of this package."""
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import InstBoxError, InvalidInputError

MAX_REASON = 300  # characters of another package's message that a sentence quotes


@contextmanager
def refuse_as(sentence: str, *kinds: type[Exception]) -> Iterator[None]:
    """Raise InvalidInputError instead of whatever another package raises in the block.

    For blocks that do nothing but hand the user's input to another package, whose readers and
    builders raise all kinds of exceptions; the original one stays the cause. What is of this
    package already passes.

    Args:
        sentence: What could not be done, and with what; the reason follows it in brackets.
        *kinds: The exceptions that bad input leads to; any, if none are given.

    Raises:
        InvalidInputError: On an exception of these kinds.
    """
    kinds = kinds or (Exception,)
    try:
        yield
    except InstBoxError:
        raise
    except kinds as error:
        raise InvalidInputError(f'{sentence} ({reason(error)}).') from error


def reason(error: Exception) -> str:
    """What an exception says, on one line of bounded length; its name if it says nothing.

    The name also leads what is no sentence of its own, such as the key of a ``KeyError``.
    """
    text = ' '.join(str(error).split()).rstrip('.')
    if not text or isinstance(error, KeyError | IndexError | AssertionError | SyntaxError):
        text = f'{type(error).__name__}: {text}'.rstrip(': ')
    return text if len(text) <= MAX_REASON else f'{text[:MAX_REASON]} ...'
