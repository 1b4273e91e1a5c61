from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from ..errors import FileAccessError
from ..utils import atomic_write


@register_backend('durable')
class DurableBackend(LocalBackend):
    """Files of this machine that are written whole or not at all, and removed late.

    What is to be removed stays until :meth:`remove_outdated`, so that a caller who removes the old
    before it writes the new is never without either.
    """

    def __init__(self) -> None:
        self._outdated: list[Path] = []

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write a file; it takes its place when the disk has it and gave it back.

        Raises:
            OSError: It cannot be written; an old file of that name is still there.
        """
        try:
            atomic_write(obj, filepath, durable=True)
        except OSError as error:
            raise FileAccessError(
                error.errno, f'{error.strerror}: {len(obj) / 1e6:.0f} MB could not be '
                'written, and what was there before is untouched; make room or give '
                'another directory, and resume', str(filepath)) from error

    def remove(self, filepath: str | Path) -> None:
        """Mark a file as outdated."""
        self._outdated.append(Path(filepath))

    def remove_outdated(self, current: list[str | None]) -> None:
        """Remove what was marked, but for the files ``current``."""
        kept = {Path(path) for path in current if path is not None}
        for path in self._outdated:
            if path not in kept:
                path.unlink(missing_ok=True)
        self._outdated.clear()
