"""Directories on this machine and in object stores, through fsspec."""
import contextlib
import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import fsspec
from fsspec.implementations.arrow import ArrowFSWrapper
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem
from pyarrow import ArrowException
from pyarrow.fs import FileSystem

from ...errors import FileAccessError, InvalidInputError, MissingFileError, MissingPackageError
from ...utils import atomic_write
from ...utils.foreign_errors import reason

_ARROW_SCHEMES = ('s3', 'gs', 'gcs', 'abfs', 'abfss', 'hdfs', 'viewfs')
_TIME_KEYS = ('mtime', 'LastModified', 'last_modified', 'updated', 'created')  # of stores' files


class StoredFile(NamedTuple):
    """A file of a :class:`Storage`."""
    name: str  # relative to the storage, '' of itself
    size: int  # bytes, 0 if unknown
    time: int  # of the last change in nanoseconds, 0 if unknown


def is_url(text: str) -> bool:
    """Whether this is an address such as ``s3://bucket/photos`` and no path."""
    return '://' in text


class Storage:
    """A directory or a file, on this machine or in an object store.

    Methods take the names of files relative to it, by default the directory or file itself. They
    raise ``MissingFileError`` for what is not there, and ``FileAccessError`` for a store that does
    not answer; both name the address without credentials.

    ``place`` is a path, or an address that PyArrow (``s3``, ``gs``, ``abfs``, ``hdfs``) or fsspec
    knows; MissingPackageError if that needs a package. Credentials come from the environment, or
    are in the address; they are never written anywhere.
    """

    def __init__(self, place: str) -> None:
        scheme, address, rest = place.partition('://')
        self._prefix = scheme + address if address else ''
        plain = f'{scheme}://{rest.partition("?")[0].rpartition("@")[2]}'  # without credentials
        if address and scheme not in (*_ARROW_SCHEMES, *fsspec.available_protocols()):
            raise InvalidInputError(
                f'{plain} is an address that neither PyArrow nor fsspec knows; give a path, or an '
                f'address that begins with file://, {"://, ".join(_ARROW_SCHEMES)}://.')
        try:
            if not address:
                whole, root = LocalFileSystem(), os.path.abspath(os.path.expanduser(place))
            elif scheme in _ARROW_SCHEMES:
                arrow, root = FileSystem.from_uri(place)
                whole = ArrowFSWrapper(arrow)
            else:
                whole, root = fsspec.core.url_to_fs(place)
        except (ImportError, ArrowException, ValueError, OSError) as error:
            kind = (MissingPackageError if isinstance(error, ImportError) else
                    FileAccessError if isinstance(error, OSError) else InvalidInputError)
            raise kind(f'{plain}: {reason(error).replace(place, plain)}') from error
        self.is_local = isinstance(whole, LocalFileSystem)
        self.has_folders = getattr(getattr(whole, 'fs', None), 'type_name', '') not in ('s3', 'gcs')
        self.filesystem = DirFileSystem(root.rstrip('/') or '/', whole)
        self.root = self.filesystem.path

    def address(self, name: str = '') -> str:
        """Returns the address, without credentials."""
        return self._prefix + (f'{self.root}/{name}' if name else self.root)

    def exists(self, name: str = '') -> bool:
        """Whether there is a file or a directory."""
        with contextlib.suppress(MissingFileError), self._explained(name):
            self.filesystem.info(name)
            return True
        return False

    def files(self, name: str = '') -> list[StoredFile]:
        """Returns the files below a directory, by name, or the file itself, if there are any."""
        if not self.exists(name):
            return []
        with self._explained(name):
            found = self.filesystem.find(name, detail=True)
        return [StoredFile(file, facts.get('size') or 0, _time(facts))
                for file, facts in sorted(found.items())]

    def read(self, name: str = '') -> bytes:
        """Returns the content of a file."""
        with self._explained(name), self.filesystem.open(name, 'rb') as file:
            return file.read()

    def write(self, content: bytes, name: str) -> None:
        """Writes a file, whole or not at all: stores show an object when all of it is there."""
        if self.is_local:
            atomic_write(content, Path(self.root, name))
            return
        with self._writing(name) as file:
            file.write(content)

    def upload(self, folder: Path, name: str) -> None:
        """Copies a local folder to a name in this directory."""
        for source in sorted(each for each in folder.rglob('*') if each.is_file()):
            there = f'{name}/{source.relative_to(folder).as_posix()}'
            with source.open('rb') as file, self._writing(there) as target:
                shutil.copyfileobj(file, target, 1 << 23)

    def remove(self, name: str) -> None:
        """Removes a file if it is there."""
        with contextlib.suppress(FileNotFoundError):
            self.filesystem.rm_file(name)

    @contextlib.contextmanager
    def _writing(self, name: str) -> Iterator[Any]:
        with self._explained(name):
            if self.has_folders:
                self.filesystem.makedirs(name.rpartition('/')[0], exist_ok=True)
            with self.filesystem.open(name, 'wb') as file:
                yield file

    @contextlib.contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        """Adds the address to the errors of the file system."""
        try:
            yield
        except FileNotFoundError as error:
            raise MissingFileError(f'{self.address(name)}: no such file.') from error
        except OSError as error:
            raise FileAccessError(f'{self.address(name)}: {reason(error)}') from error


def _time(facts: dict[str, Any]) -> int:
    """Returns the time of a file's last change in nanoseconds, whole microseconds."""
    value = next((facts[key] for key in _TIME_KEYS if facts.get(key)), 0)
    seconds = value.timestamp() if isinstance(value, datetime) else value
    return round(seconds * 10**6) * 1000 if isinstance(seconds, int | float) else 0
