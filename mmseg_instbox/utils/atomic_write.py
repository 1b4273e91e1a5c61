"""Files that are either the old ones or the new ones, never halves."""
import contextlib
import errno
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from ..errors import FileAccessError, InvalidTypeError


def atomic_write(content: bytes, path: str | Path, durable: bool = False) -> Path:
    """Write ``content`` to ``path`` and return the path.

    It goes to a temporary file in the same directory and takes its place in one step, so a reader,
    or a run that is cut off, never sees half a file. Missing parent directories are made.

    Args:
        content: What to write.
        path: The file.
        durable: Wait until the disk has it, and read it back before it takes its place, so that it
            also outlives the machine's power; slower.

    Raises:
        OSError: It cannot be written, or is read back otherwise; the old file is still there.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f'.{path.name[:40]}.'  # a long name with more before it would be too long
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=prefix)
    try:
        with os.fdopen(handle, 'wb') as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
                if hasattr(os, 'posix_fadvise'):  # let it be read from the disk, not from memory
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        if durable and Path(temporary).read_bytes() != content:
            raise FileAccessError(
                errno.EIO, 'the disk gave back something else than was written', path)
        os.chmod(temporary, 0o644)  # mkstemp makes files that only their owner reads
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    if durable:
        _sync_folder(path.parent)
    return path


def _sync_folder(folder: Path) -> None:
    """Let the disk have the names in a folder; not every system can."""
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
