"""Write images, masks and lists in the layout of PASCAL VOC."""
import io
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

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


def report_progress(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    """Pass items on and print a line at each tenth of them.

    Args:
        items: The items.
        total: How many there are.
        what: What they are, in the plural.
    """
    for number, item in enumerate(items, start=1):
        yield item
        if number * 10 // total > (number - 1) * 10 // total:
            print(f'{number} of {total} {what}', flush=True)


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
