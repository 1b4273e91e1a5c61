"""Write data sets in the layout of PASCAL VOC: images, masks and lists, in several processes."""
import io
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

S = TypeVar('S')
T = TypeVar('T')


def voc_palette() -> np.ndarray:
    """VOC's palette, in which the bits of an index are spread over the colours.

    Returns:
        Array (256, 3), uint8 RGB.
    """
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1  # (256, 8), lowest bit first
    colours = np.zeros((256, 3), dtype=np.uint8)
    for bit in range(8):
        colours[:, bit % 3] |= (bits[:, bit] << (7 - bit // 3)).astype(np.uint8)
    return colours


def write_mask(path: Path, mask: np.ndarray) -> None:
    """Write a mask (H, W) uint8 as indexed PNG with VOC's palette."""
    picture = Image.fromarray(mask)
    picture.putpalette(voc_palette().ravel().tolist())
    _write(path, _encode(picture, format='PNG'))


def write_image(path: Path, image: np.ndarray) -> None:
    """Write an image (H, W, 3) uint8 RGB as JPEG."""
    _write(path, _encode(Image.fromarray(image), format='JPEG', quality=95))


def write_list(path: Path, names: Iterable[str]) -> None:
    """Write a list of image names, one a line."""
    _write(path, ''.join(f'{name}\n' for name in names).encode())


def read_list(path: Path) -> list[str]:
    """Read a list of image names, one a line; blank lines are passed over.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it names no image.
    """
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such list of images. Check the folder that was given.')
    names = path.read_text().split()
    if not names:
        raise ValueError(f'{path}: the list names no image.')
    return names


def run_in_processes(work: Callable[[S], T], items: Sequence[S], what: str,
                     workers: int) -> list[T]:
    """Apply a function to each item and print a line at each tenth of them.

    Args:
        work: A function that can be pickled.
        items: The items.
        what: What they are, in the plural, for the lines.
        workers: Number of processes; 1 does the work in this one.

    Returns:
        list: The results in the order of the items.
    """
    if workers == 1:
        return _report(map(work, items), len(items), what)
    with ProcessPoolExecutor(workers) as pool:
        return _report(pool.map(work, items, chunksize=16), len(items), what)


def _report(results: Iterable[T], total: int, what: str) -> list[T]:
    """Collect results and print how many have come."""
    collected = []
    for result in results:
        collected.append(result)
        if len(collected) * 10 // total > (len(collected) - 1) * 10 // total:
            print(f'{len(collected)} of {total} {what}', flush=True)
    return collected


def _encode(picture: Image.Image, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, **options)
    return buffer.getvalue()


def _write(path: Path, content: bytes) -> None:
    """Write a file in one step, so that a run that is cut off leaves no half file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f'.{path.name}.')
    try:
        with os.fdopen(handle, 'wb') as file:
            file.write(content)
        os.chmod(temporary, 0o644)  # mkstemp makes files that only their owner reads
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
