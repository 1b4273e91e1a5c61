"""Reads images from paths, URLs, arrays and videos, one at a time."""
import glob
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
from PIL import Image

from ..errors import InstBoxError, InvalidTypeError, MissingFileError
from .decoding import array_to_bgr, fetch_image, pil_to_bgr, read_image, read_video
from .file_names import file_name

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.gif', '.tif', '.tiff', '.webp', '.ppm', '.pgm')
VIDEO_SUFFIXES = ('.mp4', '.avi', '.mov', '.mkv', '.webm', '.m4v', '.mpg', '.mpeg', '.wmv')


@dataclass(frozen=True)
class InputImage:
    """One image of the inputs.

    Attributes:
        name: The file's stem, made distinct from those before it; a running number for arrays and
            ``VIDEO_000000`` for frames.
        path: Path or address of the image, None if it has none.
        load: Returns the image, (H, W, 3) uint8 BGR. Raises ValueError or FileNotFoundError naming
            the image.
    """
    name: str
    path: str | None
    load: Callable[[], np.ndarray]


@dataclass(frozen=True)
class _Source:
    """A source of images, and their number (None: unknown)."""
    kind: str
    value: Any
    total: int | None = 1


class InputImages(Iterator[InputImage]):
    """An iterator over images that may know their number.

    Attributes:
        total: Number of images, None if unknown; of a video as its header says.
    """

    def __init__(self, sources: Iterable[_Source], total: int | None) -> None:
        self.total = total
        self._images = _images(sources)

    def __next__(self) -> InputImage:
        return next(self._images)

    def __length_hint__(self) -> int:
        """For ``operator.length_hint``; 0 if the number is unknown."""
        return self.total or 0


_IN_MEMORY = dict(array=np.ndarray, pil=Image.Image, image=InputImage)


def read_inputs(inputs: Any) -> InputImages:
    """Yields the images of some inputs, one after another; nothing is read ahead.

    Args:
        inputs: Path of an image or a video; folder (its images, by name, without those of folders
            inside it); pattern such as ``'photos/**/*.jpg'``; http or https address of an image;
            array (H, W, 3) BGR, (H, W) grey or (H, W, 4) BGRA, uint8; PIL image; an
            :class:`InputImage`, which keeps its name; or a list or any iterable of these.

    Returns:
        InputImages: Images that cannot be read raise when they are loaded, not here.

    Raises:
        FileNotFoundError: A pattern matches no file, or a folder has no images.
        TypeError: The inputs are of another type.
    """
    if isinstance(inputs, InputImages):
        return inputs
    if isinstance(inputs, list | tuple):
        sources = [source for item in inputs for source in _expand(item)]
        return InputImages(sources, _sum_totals(sources))
    if _is_single(inputs):
        sources = _expand(inputs)
        return InputImages(sources, _sum_totals(sources))
    if isinstance(inputs, Iterable) and not isinstance(inputs, dict | bytes):
        total = len(inputs) if hasattr(inputs, '__len__') else None
        return InputImages((source for item in inputs for source in _expand(item)), total)
    raise InvalidTypeError(_wrong_type(inputs))


def _sum_totals(sources: list[_Source]) -> int | None:
    totals = [source.total for source in sources]
    return None if None in totals else sum(totals)


def _is_single(item: Any) -> bool:
    return isinstance(item, str | Path | np.ndarray | Image.Image | InputImage)


def _wrong_type(item: Any) -> str:
    return (f'Images are given as path, folder, pattern, address, array (H, W, 3) uint8 BGR, PIL '
            f'image, or a list or iterable of these, not as {type(item).__name__}.')


def _expand(item: Any) -> list[_Source]:
    """Returns the sources of one item."""
    for kind, of_kind in _IN_MEMORY.items():
        if isinstance(item, of_kind):
            return [_Source(kind, item)]
    if not isinstance(item, str | Path):
        raise InvalidTypeError(_wrong_type(item))
    text = str(item)
    if re.match(r'https?://', text):
        return [_Source('address', text)]
    path = Path(text).expanduser()
    if path.is_dir():
        return _folder(path)
    if not path.exists() and glob.has_magic(text):
        return _pattern(text)
    return [_file(path)]


def _file(path: Path) -> _Source:
    if path.suffix.lower() not in VIDEO_SUFFIXES or not path.is_file():
        return _Source('file', path)
    try:
        return _Source('video', path, read_video(path).total)
    except InstBoxError as error:
        return _Source('refused', (path, error))


def _folder(path: Path) -> list[_Source]:
    files = sorted(each for each in path.iterdir() if each.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise MissingFileError(f'{path}: no images in this folder, expected files that end in '
                               f'{", ".join(IMAGE_SUFFIXES)}. For images in subfolders '
                               f"give a pattern: '{path}/**/*.jpg'.")
    return [_Source('file', each) for each in files]


def _pattern(pattern: str) -> list[_Source]:
    suffixes = IMAGE_SUFFIXES + VIDEO_SUFFIXES
    files = sorted(Path(each) for each in glob.glob(pattern, recursive=True))
    files = [each for each in files if each.suffix.lower() in suffixes and each.is_file()]
    if not files:
        raise MissingFileError(f'{pattern}: no image or video matches this pattern.')
    return [_file(each) for each in files]


def _images(sources: Iterable[_Source]) -> Iterator[InputImage]:
    """Yields the images of all sources, with distinct names."""
    taken: set[str] = set()
    number = 0
    for source in sources:
        if source.kind in ('array', 'pil'):
            yield _in_memory(source, number, taken)
        elif source.kind == 'image':
            yield source.value
        elif source.kind == 'video':
            yield from _frames(source.value, distinct_name(source.value, taken))
        elif source.kind == 'address':
            path = Path(unquote(urlsplit(source.value).path).strip('/') or 'image')
            yield InputImage(distinct_name(path, taken), source.value,
                             partial(fetch_image, source.value))
        elif source.kind == 'refused':
            path, error = source.value
            yield InputImage(distinct_name(path, taken), str(path), partial(_refuse, error))
        else:
            yield InputImage(distinct_name(source.value, taken), str(source.value),
                             partial(_load_file, source.value))
        number += 1


def _in_memory(source: _Source, number: int, taken: set[str]) -> InputImage:
    name, path = f'{number:06d}', None
    if source.kind == 'array':
        return InputImage(name, path, partial(array_to_bgr, source.value, f'array {name}'))
    if getattr(source.value, 'filename', ''):
        path = str(source.value.filename)
        name = distinct_name(Path(path), taken)
    return InputImage(name, path, partial(pil_to_bgr, source.value, path or f'image {name}'))


def _frames(path: Path, stem: str) -> Iterator[InputImage]:
    for number, frame in enumerate(read_video(path)):
        yield InputImage(f'{stem}_{number:06d}', None, partial(_same, frame))


def _refuse(error: Exception) -> np.ndarray:
    raise error


def _same(frame: np.ndarray) -> np.ndarray:
    return frame


def distinct_name(path: Path, taken: set[str]) -> str:
    """Adds a name to those taken and returns it: the stem of a path, preceded by the names of its
    folders or followed by a number if necessary."""
    stem = name = file_name(path.stem)
    parents = [part for part in path.parent.parts if part not in (path.anchor, '.', '..')]
    while name in taken and parents:
        name = file_name(f'{parents.pop()}_{name}')
    number = 2
    while name in taken:
        name, number = f'{stem}_{number}', number + 1
    taken.add(name)
    return name


def _load_file(path: Path) -> np.ndarray:
    if path.is_file():
        return read_image(path)
    near = []
    if path.parent.is_dir():
        near = get_close_matches(path.name, [each.name for each in path.parent.iterdir()], 3)
    hint = f' Names like it there: {", ".join(near)}.' if near else ''
    raise MissingFileError(f'{path}: no such file.{hint}')
