"""Writes files whole or not at all."""
import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import InvalidTypeError


@contextlib.contextmanager
def replacing(path: str | Path, suffix: str = '') -> Iterator[Path]:
    """Give a temporary file in the same directory that replaces ``path`` when the block ends.

    The directory is made if it is missing. If the block raises, the old file stays. The temporary
    file ends in ``suffix``, for writers that choose a format by it.
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

    With ``durable`` it waits until the disk has it, so that it also survives a loss of power.
    """
    path = Path(path)
    with replacing(path) as temporary, temporary.open('wb') as file:
        file.write(content)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    if durable and os.name == 'posix':  # the name of the file, too
        folder = os.open(path.parent, os.O_RDONLY)
        with contextlib.suppress(OSError):
            os.fsync(folder)
        os.close(folder)
    return path


def write_json(content: Any, path: str | Path) -> Path:
    """Write ``content`` as JSON to ``path``, whole or not at all, and return the path.

    NumPy scalars and tensors with one element become numbers; raises InvalidTypeError for what JSON
    cannot express.
    """
    def to_number(value: Any) -> Any:
        if hasattr(value, 'item'):
            return value.item()
        raise InvalidTypeError(f'{type(value).__name__} cannot be written as JSON: {value!r}.')

    text = json.dumps(content, indent=2, default=to_number) + '\n'
    return atomic_write(text.encode(), path)
