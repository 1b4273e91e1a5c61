"""Files that are either the old ones or the new ones, never halves."""
import contextlib
import errno
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import FileAccessError, InvalidTypeError


@contextlib.contextmanager
def replacing(path: str | Path, suffix: str = '') -> Iterator[Path]:
    """Give a temporary file that takes the place of ``path`` when the block ends well.

    It lies in the same directory, which is made if it is missing, and takes its place in one step:
    a reader never sees half a file. If the block raises, the old file stays.

    Args:
        path: The file to replace.
        suffix: Ending of the temporary file, for writers that choose a format by it.

    Raises:
        OSError: The directory cannot be written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f'.{path.name[:40]}.'  # file systems limit the length of a name
    handle, name = tempfile.mkstemp(suffix, prefix, path.parent)
    os.close(handle)
    try:
        yield Path(name)
        os.chmod(name, 0o644)  # mkstemp makes files that only their owner reads
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def atomic_write(content: bytes, path: str | Path, durable: bool = False) -> Path:
    """Write ``content`` to ``path``, whole or not at all, and return the path.

    Args:
        content: What to write.
        path: The file; see :func:`replacing`.
        durable: Wait until the disk has it, and read it back before it takes its place, so that it
            also survives a loss of power; slower.

    Raises:
        OSError: It cannot be written, or is read back otherwise; the old file is still there.
    """
    path = Path(path)
    with replacing(path) as temporary:
        with temporary.open('wb') as file:
            file.write(content)
            if durable:
                file.flush()
                _sync(file.fileno())
        if durable and temporary.read_bytes() != content:
            raise FileAccessError(
                errno.EIO, 'the disk gave back something else than was written', path)
    if durable:
        _sync_folder(path.parent)
    return path


def _sync(handle: int) -> None:
    """Write a file to the disk, and drop it from the cache so that it is read from the disk."""
    os.fsync(handle)
    if hasattr(os, 'posix_fadvise'):
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)


def _sync_folder(folder: Path) -> None:
    """Write the names in a folder to the disk, on systems that can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_json(content: Any, path: str | Path) -> Path:
    """Write ``content`` as JSON to ``path``, whole or not at all, and return the path.

    Args:
        content: Anything :func:`json.dumps` takes; objects with ``item()`` (NumPy scalars, tensors
            with one element) become Python numbers.
        path: The file to write.

    Raises:
        TypeError: ``content`` holds something that JSON cannot express.
    """
    text = json.dumps(content, indent=2, default=_to_number) + '\n'
    return atomic_write(text.encode(), path)


def _to_number(value: Any) -> Any:
    """The Python number in a NumPy scalar or a tensor with one element."""
    if hasattr(value, 'item'):
        return value.item()
    raise InvalidTypeError(f'{type(value).__name__} cannot be written as JSON: {value!r}.')
