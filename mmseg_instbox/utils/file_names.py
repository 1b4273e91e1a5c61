"""Names of files that strangers chose."""
import hashlib
import re
from pathlib import PureWindowsPath

from ..errors import InvalidInputError

MAX_PATH = 1000  # characters of a relative path
MAX_BYTES = 180  # of a name: systems take 255, and endings and temporary files need some
_UNFIT = re.compile(r'[\x00-\x1f/\\:*?"<>|]')  # in names of files, on one system or another


def check_inside(name: str, source: str) -> str:
    """Refuse the name of a file that does not stay below the folder that it is relative to.

    Symbolic links below the folder are followed: whoever keeps the data has made them.

    Args:
        name: A relative path, as an annotation file gives it.
        source: Where it stands, the beginning of the error's sentence.

    Returns:
        str: ``name``.

    Raises:
        ValueError: It is absolute, an address, longer than any name, or has '..' or a line break in
            it.
    """
    path = PureWindowsPath(name)  # takes both kinds of slashes apart, and knows drives
    outside = path.drive or path.root or '..' in path.parts or '://' in name
    if outside or len(name) > MAX_PATH or any(ord(each) < 32 for each in name):
        raise InvalidInputError(f'{source} names the file {name[:200]!r}, which may lie outside of '
                                "the data's folder. Give a path relative to that folder, without "
                                "'..'; if the file lies elsewhere, change the folder.")
    return name


def file_name(name: str) -> str:
    """Make a name of a file, without ending, of any text: one that stays in its folder.

    Of a name of more than ``MAX_BYTES`` bytes remain the beginning and a digest.
    """
    name = _UNFIT.sub('_', name).strip().strip('.') or 'image'
    encoded = name.encode(errors='surrogateescape')
    if len(encoded) <= MAX_BYTES:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:12]
    return f'{encoded[:MAX_BYTES - 13].decode(errors="ignore")}-{digest}'
