"""Checks and repairs untrusted file names."""
import hashlib
import re
from pathlib import PureWindowsPath

from ..errors import InvalidInputError

MAX_PATH = 1000  # characters of a relative path
MAX_BYTES = 180  # of a name: systems take 255, suffixes and temporary files need some
_UNFIT = re.compile(r'[\x00-\x1f/\\:*?"<>|]')  # in names of files, on one system or another


def check_inside(name: str, source: str) -> str:
    """Check that the name of a file stays below the folder that it is relative to.

    Symbolic links below the folder are followed: the owner of the data has made them.

    Args:
        name: A relative path, as an annotation file gives it.
        source: Where the name is from, for the error message.

    Returns:
        str: ``name``.

    Raises:
        ValueError: It is absolute, a URL, too long, or contains '..' or a control character.
    """
    path = PureWindowsPath(name)  # takes both kinds of slashes apart, and knows drives
    outside = path.drive or path.root or '..' in path.parts or '://' in name
    if outside or len(name) > MAX_PATH or any(ord(each) < 32 for each in name):
        raise InvalidInputError(f'{source} names the file {name[:200]!r}, which may lie outside of '
                                "the data's folder. Give a path relative to that folder, without "
                                "'..'; if the file lies elsewhere, change the folder.")
    return name


def file_name(name: str) -> str:
    """Turn any text into a file name, without suffix, that stays in its folder.

    A name of more than ``MAX_BYTES`` bytes is shortened to its beginning and a digest.
    """
    name = _UNFIT.sub('_', name).strip().strip('.') or 'image'
    encoded = name.encode(errors='surrogateescape')
    if len(encoded) <= MAX_BYTES:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:12]
    return f'{encoded[:MAX_BYTES - 13].decode(errors="ignore")}-{digest}'
