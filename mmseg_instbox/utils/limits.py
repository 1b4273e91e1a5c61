"""How large an input may be before it is refused, and how to allow more.

Each limit is a default that ordinary pictures and data sets stay below, and a variable of the
environment that replaces it; the processes of a run and of its data loaders share these.
"""
import os
from typing import NamedTuple

from ..errors import InvalidInputError, TooLargeError


class Limit(NamedTuple):
    """A limit.

    Attributes:
        default: The largest number that passes.
        variable: The variable of the environment that replaces it; in units of ``unit``.
        what: What is counted, in the plural.
        unit: How many of it the variable counts as one.
    """
    default: int
    variable: str
    what: str
    unit: int = 1


MEGABYTE = 10**6
LIMITS = dict(
    pixels=Limit(150_000_000, 'INSTBOX_MAX_PIXELS', 'pixels'),
    objects=Limit(10_000, 'INSTBOX_MAX_OBJECTS', 'objects'),
    json_bytes=Limit(2000 * MEGABYTE, 'INSTBOX_MAX_JSON_MB', 'bytes of JSON', MEGABYTE),
    mask_bytes=Limit(4000 * MEGABYTE, 'INSTBOX_MAX_MASK_MB', 'bytes of masks', MEGABYTE))


def limit(name: str) -> int:
    """The largest number that passes a limit, a key of ``LIMITS``, at this moment.

    Raises:
        ValueError: The variable of the environment is no whole number from 1 on.
    """
    default, variable, _, unit = LIMITS[name]
    text = os.environ.get(variable)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > 18 or int(text) < 1:
        raise InvalidInputError(f'{variable} in the environment is {text[:40]!r}, expected a whole '
                                'number from 1 on.')
    return int(text) * unit


def check_limit(name: str, number: int, source: str) -> None:
    """Refuse an input that is too large.

    Args:
        name: A key of ``LIMITS``.
        number: What the input has, in the unit of the limit's default.
        source: The input, the beginning of the sentence.

    Raises:
        TooLargeError: ``number`` is above the limit; the sentence says how to raise that.
    """
    largest = limit(name)
    if number > largest:
        _, variable, what, unit = LIMITS[name]
        raise TooLargeError(f'{source} has {number:,} {what}, more than the limit of {largest:,}. '
                            'If that is meant, raise the limit in the environment: '
                            f'{variable}={-(-number // unit)}')
