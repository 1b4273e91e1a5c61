"""Limits on the size of inputs.

Each limit has a default that ordinary images and data sets stay below, and an environment variable
that replaces it, so that all processes of a run share it.
"""
import os
from typing import NamedTuple

from ..errors import InvalidInputError, TooLargeError


class Limit(NamedTuple):
    """A limit.

    Attributes:
        default: The largest number that passes.
        variable: The environment variable that replaces it, in units of ``unit``.
        what: What is counted, in the plural.
        unit: How many of these are one unit of the variable.
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
    """The largest number that the limit ``name``, a key of ``LIMITS``, allows.

    Raises:
        ValueError: The environment variable is not a positive integer.
    """
    default, variable, _, unit = LIMITS[name]
    text = os.environ.get(variable)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > 18 or int(text) < 1:
        raise InvalidInputError(f'The environment variable {variable} is {text[:40]!r}, expected a '
                                'positive integer.')
    return int(text) * unit


def check_limit(name: str, number: int, source: str) -> None:
    """Check that an input is not too large.

    Args:
        name: A key of ``LIMITS``.
        number: What the input has, in the unit of the limit's default.
        source: What the error message calls the input.

    Raises:
        TooLargeError: ``number`` is above the limit; the message says how to raise the limit.
    """
    largest = limit(name)
    if number > largest:
        _, variable, what, unit = LIMITS[name]
        raise TooLargeError(f'{source} has {number:,} {what}, more than the limit of {largest:,}. '
                            'If that is meant, raise the limit in the environment: '
                            f'{variable}={-(-number // unit)}')
