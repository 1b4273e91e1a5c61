"""The folder in which uploads and downloads of the page lie."""
from contextlib import suppress
from pathlib import Path

KEPT = 'samples-'  # how folders of the page itself begin


def make_room(folder: Path, max_bytes: int) -> None:
    """Removes the oldest files of a folder until the others fit.

    Args:
        folder: Where uploads lie, each in a folder of its own; those of the page itself stay.
        max_bytes: What may be left.
    """
    files = []
    for file in folder.rglob('*'):
        with suppress(OSError):  # gone in the meantime
            if file.is_file() and not file.relative_to(folder).parts[0].startswith(KEPT):
                state = file.stat()
                files.append((state.st_mtime, state.st_size, file))
    excess = sum(size for _, size, _ in files) - max_bytes
    for _, size, file in sorted(files):
        if excess <= 0:
            return
        with suppress(OSError):
            file.unlink()
            excess -= size
        with suppress(OSError):  # another file is in it
            if file.parent != folder:
                file.parent.rmdir()
