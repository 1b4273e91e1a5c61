"""Limits on the size of inputs; environment variables replace them for all processes of a run."""
import os
from typing import NamedTuple

from ..errors import InvalidInputError, TooLargeError


class Limit(NamedTuple):
    """The largest number of ``what`` that passes; ``variable``, in ``unit``, replaces it."""
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
    """The largest number that the limit ``name`` allows; raises InvalidInputError where its
    environment variable is not a positive integer."""
    default, variable, _, unit = LIMITS[name]
    text = os.environ.get(variable)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > 18 or int(text) < 1:
        raise InvalidInputError(f'The environment variable {variable} is {text[:40]!r}, expected a '
                                'positive integer.')
    return int(text) * unit


def check_limit(name: str, number: int, source: str) -> None:
    """Raises TooLargeError, which names ``source`` and how to raise the limit, if ``number`` is
    above the limit ``name``."""
    largest, (_, variable, what, unit) = limit(name), LIMITS[name]
    if number > largest:
        raise TooLargeError(f'{source} has {number:,} {what}, more than the limit of {largest:,}. '
                            'If that is meant, raise the limit in the environment: '
                            f'{variable}={-(-number // unit)}')
