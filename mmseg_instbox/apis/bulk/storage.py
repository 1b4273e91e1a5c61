"""Directories of this machine and of object stores, alike."""
import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from ...errors import FileAccessError, InvalidInputError, MissingFileError, MissingPackageError
from ...utils import atomic_write

if TYPE_CHECKING:
    from pyarrow.fs import FileInfo, FileSystem

_PIECE = 1 << 23  # bytes that are copied together
_ARROW_SCHEMES = ('s3', 'gs', 'gcs', 'abfs', 'abfss', 'hdfs', 'viewfs', 'file')
EXTRA = "pip install 'mmseg_instbox[ray]'"


def is_url(text: str) -> bool:
    """Whether this is an address such as ``s3://bucket/photos`` and no path."""
    return '://' in text


class Storage:
    """A directory or a file, on this machine or in an object store.

    Args:
        place: A path, or an address that PyArrow (``file``, ``s3``, ``gs``, ``abfs``, ``hdfs``) or
            fsspec knows. Credentials come from the environment, or are in the address; they are
            never written anywhere.

    Raises:
        MissingPackageError: PyArrow, or the package that knows the address, is not installed.
        InvalidInputError: Nobody knows this kind of address.
    """

    def __init__(self, place: str) -> None:
        self.filesystem, self.root = _open(place)
        self.is_local = self.filesystem.type_name == 'local'
        self._prefix = f'{place.partition("://")[0]}://' if is_url(place) else ''

    def address(self, path: str) -> str:
        """What names a file of this storage to people, without credentials."""
        return self._prefix + path

    def inside(self, name: str) -> str:
        """The path of a file in this directory."""
        return f'{self.root.rstrip("/")}/{name}'

    def info(self, path: str) -> 'FileInfo':
        """Kind, size and time of a path.

        Raises:
            FileAccessError: The storage gives no answer.
        """
        with _explained(self.address(path)):
            return self.filesystem.get_file_info([path])[0]

    def files(self, folder: str, recursive: bool = False) -> list['FileInfo']:
        """The files in a folder, by path; none if there is no such folder.

        Raises:
            FileAccessError: The storage gives no answer.
        """
        from pyarrow.fs import FileSelector, FileType
        selector = FileSelector(folder, allow_not_found=True, recursive=recursive)
        with _explained(self.address(folder)):
            found = self.filesystem.get_file_info(selector)
        return sorted((each for each in found if each.type == FileType.File),
                      key=lambda each: each.path)

    def read(self, path: str) -> bytes:
        """The content of a file.

        Raises:
            MissingFileError: There is no such file.
            FileAccessError: It cannot be read.
        """
        with _explained(self.address(path)), self.filesystem.open_input_stream(path) as file:
            return file.read()

    def write(self, content: bytes, path: str) -> None:
        """Write a file, whole or not at all: stores show an object when all of it is there.

        Raises:
            OSError: It cannot be written.
        """
        if self.is_local:
            atomic_write(content, path)
            return
        with _explained(self.address(path)):
            self._make_folder(path)
            with self.filesystem.open_output_stream(path) as file:
                file.write(content)

    @contextlib.contextmanager
    def replacing(self, path: str) -> Iterator[IO[bytes]]:
        """A file to write a long content to, which takes its place when the block ends well."""
        folder = None
        if self.is_local:
            folder = os.path.dirname(path)
            os.makedirs(folder, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=f'.{os.path.basename(path)}.')
        try:
            with os.fdopen(handle, 'wb') as file:
                yield file
            if self.is_local:
                os.chmod(temporary, 0o644)  # mkstemp makes files that only their owner reads
                os.replace(temporary, path)
            else:
                self._upload(temporary, path)
        finally:
            Path(temporary).unlink(missing_ok=True)

    def _upload(self, source: str, path: str) -> None:
        with _explained(self.address(path)):
            self._make_folder(path)
            with open(source, 'rb') as file, self.filesystem.open_output_stream(path) as target:
                while piece := file.read(_PIECE):
                    target.write(piece)

    def _make_folder(self, path: str) -> None:
        """Make a file's folder where the file system has folders; object stores do without."""
        if self.filesystem.type_name in ('s3', 'gcs'):
            return
        self.filesystem.create_dir(path.rpartition('/')[0], recursive=True)

    def remove(self, path: str) -> None:
        """Remove a file if it is there."""
        with contextlib.suppress(FileNotFoundError):
            self.filesystem.delete_file(path)


def _open(place: str) -> tuple['FileSystem', str]:
    """The file system that a place is on, and its path there."""
    try:
        from pyarrow import ArrowException
        from pyarrow.fs import FileSystem, LocalFileSystem
    except ImportError as error:
        raise MissingPackageError(f'Bulk inference needs PyArrow, which is not installed: {EXTRA}'
                                  ) from error
    if not is_url(place):
        return LocalFileSystem(), os.path.abspath(os.path.expanduser(place))
    if place.partition('://')[0] not in _ARROW_SCHEMES:
        return _open_fsspec(place)
    try:
        return FileSystem.from_uri(place)
    except (ArrowException, ValueError) as error:
        raise InvalidInputError(f'{_scheme(place)}: {_first(error, place)}') from error
    except OSError as error:
        raise FileAccessError(f'{_scheme(place)}: {_first(error, place)}') from error


def _open_fsspec(place: str) -> tuple['FileSystem', str]:
    try:
        import fsspec
    except ImportError as error:
        raise MissingPackageError(f'{_scheme(place)} is an address that PyArrow does not know; '
                                  'fsspec may: pip install fsspec') from error
    from pyarrow.fs import FSSpecHandler, PyFileSystem
    if place.partition('://')[0] not in fsspec.available_protocols():
        raise InvalidInputError(f'{_scheme(place)} is an address that neither PyArrow nor fsspec '
                                'knows; give a path, or an address that begins with '
                                f'{", ".join(f"{each}://" for each in _ARROW_SCHEMES)}.')
    try:
        filesystem, path = fsspec.core.url_to_fs(place)
    except ImportError as error:
        raise MissingPackageError(f'{_scheme(place)}: {_first(error, place)}') from error
    return PyFileSystem(FSSpecHandler(filesystem)), path


def _scheme(place: str) -> str:
    """An address without what may hold credentials."""
    scheme, _, rest = place.partition('://')
    return f'{scheme}://{rest.partition("?")[0].rpartition("@")[2]}'


def _first(error: Exception, place: str = '') -> str:
    """The first line of what an exception says, without the credentials in an address."""
    text = str(error).replace(place, _scheme(place)) if place else str(error)
    return (text.splitlines() or [type(error).__name__])[0]


@contextlib.contextmanager
def _explained(address: str) -> Iterator[None]:
    """Errors of a file system, with the address in them."""
    try:
        yield
    except FileNotFoundError as error:
        raise MissingFileError(f'{address}: no such file.') from error
    except OSError as error:
        raise FileAccessError(f'{address}: {_first(error)}') from error
