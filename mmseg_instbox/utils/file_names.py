"""Checks untrusted file names, and names what is written of each image."""
import hashlib
import os
import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path, PurePath, PureWindowsPath

from ..errors import InvalidInputError

MAX_PATH = 1000  # characters of a relative path
MAX_BYTES = 180  # of a name: systems take 255, suffixes and temporary files need some
_UNDECODED = re.compile('[\udc80-\udcff]')  # bytes of a file's name that are no UTF-8
_UNFIT = re.compile(r'[\x00-\x1f/\\:*?"<>|]')  # in names of files, on one system or another


def is_http(name: str) -> bool:
    """Whether this is an http or https address."""
    return name.startswith(('http://', 'https://'))


def check_inside(name: str, source: str) -> str:
    """Checks that the name of a file stays below the folder that it is relative to.

    Symbolic links below the folder are followed: the owner of the data has made them. Returns the
    name. Raises InvalidInputError, which says that ``source`` names the file, if it is absolute, a
    URL, too long, or has '..' or a control character.
    """
    path = PureWindowsPath(name)  # takes both kinds of slashes apart, and knows drives
    outside = path.drive or path.root or '..' in path.parts or '://' in name
    if outside or len(name) > MAX_PATH or any(ord(each) < 32 for each in name):
        raise InvalidInputError(f'{source} names the file {name[:200]!r}, which may lie outside of '
                                "the data's folder. Give a path relative to that folder, without "
                                "'..'; if the file lies elsewhere, change the folder.")
    return name


def near_files(path: Path) -> str:
    """Returns the end of a message about a missing file: similar names in its folder."""
    if not path.parent.is_dir():
        return f'; there is no folder {str(path.parent)!r} either.'
    near = get_close_matches(path.name, [each.name for each in path.parent.iterdir()], n=3)
    return f'; near it are {", ".join(near)}.' if near else '.'


def readable(name: str) -> str:
    """Reads the bytes of a file's name that are no UTF-8, which JSON cannot hold, as Latin-1."""
    return _UNDECODED.sub(lambda byte: chr(ord(byte[0]) - 0xdc00), name)


def file_name(name: str) -> str:
    """Turns any text into a file name, without suffix, that stays in its folder.

    A name of more than ``MAX_BYTES`` bytes is shortened to its beginning and a digest.
    """
    name = _UNFIT.sub('_', readable(name)).strip().strip('.') or 'image'
    encoded = name.encode()
    if len(encoded) <= MAX_BYTES:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:12]
    return f'{encoded[:MAX_BYTES - 13].decode(errors="ignore")}-{digest}'


def relative_name(name: str) -> str:
    """Turns any text into a relative path with '/' that stays below its folder."""
    return '/'.join(map(file_name, name.split('/')))


def common_folder(files: Iterable[str]) -> str:
    """Returns the folder that paths, or addresses in one store, have in common; '' if none."""
    folders = {os.path.dirname(file if '://' in file else os.path.abspath(file)) for file in files}
    try:
        return os.path.commonpath(folders) if folders else ''
    except ValueError:  # paths and addresses together, or several drives
        return ''


def distinct_name(path: PurePath, taken: set[str], root: str = '') -> str:
    """Adds a name to those taken and returns it: the path of an image without suffix.

    The name is relative to the folder ``root``. Without one, or outside of it, it is the stem, with
    folders in front if that is taken. Where that does not help, it gets a number.
    """
    folders = [each for each in path.parent.parts if each not in (path.anchor, '.', '..')]
    inside = PurePath(root).name and path.is_relative_to(root)  # in '/' is everything
    first = len(folders) - (len(path.relative_to(root).parts) - 1 if inside else 0)
    stem = name = relative_name('/'.join([*folders[first:], path.stem]))
    while name in taken and first and not inside:
        first -= 1
        name = relative_name('/'.join([*folders[first:], path.stem]))
    number = 2
    while name in taken:
        name, number = f'{stem}_{number}', number + 1
    taken.add(name)
    return name
