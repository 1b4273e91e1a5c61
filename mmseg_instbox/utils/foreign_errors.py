"""Messages of errors, and errors of this package for what others raise on bad input."""
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from ..errors import InstBoxError, InvalidInputError

MAX_REASON = 300  # characters of another package's message that an error quotes


@contextmanager
def convert_errors(problem: str, *kinds: type[Exception],
                   to: type[InstBoxError] = InvalidInputError) -> Iterator[None]:
    """Convert exceptions of other packages in the block; errors of this package pass.

    For blocks that only hand the user's input to another package.

    Args:
        problem: What failed, and with which input; the reason follows in parentheses.
        *kinds: The exceptions that bad input leads to; by default any.
        to: What is raised instead, with the original exception as its cause.
    """
    kinds = kinds or (Exception,)
    try:
        yield
    except InstBoxError:
        raise
    except kinds as error:
        raise to(f'{problem} ({reason(error)}).') from error


def reason(error: Exception) -> str:
    """The message of an exception on one line of at most about 300 characters.

    The exception's name comes first where the message alone says little, as of a ``KeyError``.
    """
    text = ' '.join(str(error).split()).rstrip('.')
    if not text or isinstance(error, KeyError | IndexError | AssertionError | SyntaxError):
        text = f'{type(error).__name__}: {text}'.rstrip(': ')
    return text if len(text) <= MAX_REASON else f'{text[:MAX_REASON]} ...'


def first_few(names: Iterable, count: int = 3) -> str:
    """The first names of many, with dots if there are more than ``count``."""
    names = [*map(str, names)]
    return ', '.join([*names[:count], *(['...'] if len(names) > count else [])])


def describe(error: Exception, name: str) -> str:
    """Says why an input failed: the message of an expected error, which names the input; of any
    other its type, too."""
    if isinstance(error, InstBoxError | OSError):
        return str(error)
    kind, text = type(error).__name__, reason(error)
    return f'{name}: unexpected {text if text.startswith(kind) else f"{kind}: {text}"}'
