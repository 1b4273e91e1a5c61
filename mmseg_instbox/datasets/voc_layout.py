"""Write data sets in the layout of PASCAL VOC: images, masks and lists, in several processes."""
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from ..errors import InvalidInputError, MissingFileError
from ..utils import atomic_write, replacing
from ..utils.file_names import check_inside
from ..utils.foreign_errors import convert_errors
from ..utils.image_header import open_image

VOC_CLASSES = (
    'aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat', 'chair', 'cow',
    'diningtable', 'dog', 'horse', 'motorbike', 'person', 'pottedplant', 'sheep', 'sofa', 'train',
    'tvmonitor')
S = TypeVar('S')
T = TypeVar('T')


def voc_palette() -> np.ndarray:
    """VOC's palette (256, 3) uint8 RGB: the bits of an index are spread over the colours."""
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1  # (256, 8), lowest bit first
    colours = np.zeros((256, 3), dtype=np.uint8)
    for bit in range(8):
        colours[:, bit % 3] |= (bits[:, bit] << (7 - bit // 3)).astype(np.uint8)
    return colours


def write_mask(path: Path, mask: np.ndarray) -> None:
    """Write a mask (H, W) uint8 as indexed PNG with VOC's palette."""
    picture = Image.fromarray(mask)
    picture.putpalette(voc_palette().ravel().tolist())
    with replacing(path) as temporary:
        picture.save(temporary, format='PNG')


def write_image(path: Path, image: np.ndarray) -> None:
    """Write an image (H, W, 3) uint8 RGB as JPEG."""
    with replacing(path) as temporary:
        Image.fromarray(image).save(temporary, format='JPEG', quality=95)


def image_size(path: Path) -> tuple[int, int]:
    """Height and width of an image file in pixels.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    if not path.is_file():
        raise MissingFileError(f'{path}: no such image. Unpack VOC completely.')
    with open_image(path, str(path)) as picture:
        return picture.height, picture.width


def write_list(path: Path, names: Iterable[str]) -> None:
    """Write a list of image names, one a line."""
    atomic_write(''.join(f'{name}\n' for name in names).encode(), path)


def read_list(path: Path) -> list[str]:
    """Read a list of image names, one a line; blank lines are passed over.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it names no image, or a file outside of the data's folder.
    """
    if not path.is_file():
        raise MissingFileError(f'{path}: no such list of images. Check the folder that was '
                               'given, or data_root and ann_file.')
    with convert_errors(f'{path}: the list of images is no text', UnicodeDecodeError):
        lines = path.read_text(encoding='utf-8-sig').splitlines()
    names = [check_inside(line.strip(), str(path)) for line in lines if line.strip()]
    if not names:
        raise InvalidInputError(f'{path}: no images are listed here.')
    return names


def run_in_processes(work: Callable[[S], T], items: Sequence[S], what: str,
                     workers: int) -> list[T]:
    """Apply a function that can be pickled to each item, with a progress bar.

    ``what`` names the items, in the plural; with one worker this process does the work. The results
    come in the order of the items.
    """
    from rich.progress import track  # here, because commands that read and write masks start fast
    if workers == 1:
        return [*track(map(work, items), what, len(items))]
    with ProcessPoolExecutor(workers) as pool:
        return [*track(pool.map(work, items, chunksize=16), what, len(items))]
