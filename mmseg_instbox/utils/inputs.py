"""Reads images from paths, URLs, arrays and videos, one at a time."""
import glob
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath
from typing import Any, NamedTuple, TypeVar
from urllib.parse import unquote, urlsplit

import numpy as np
from PIL import Image

from ..errors import InstBoxError, InvalidTypeError, MissingFileError
from . import FORMAT_NAMES
from .decoding import VideoFrames, array_to_bgr, fetch_image, pil_to_bgr, read_image
from .file_names import common_folder, distinct_name, is_http
from .image_header import IMAGE_SUFFIXES

VIDEO_SUFFIXES = ('.mp4', '.avi', '.mov', '.mkv', '.webm', '.m4v', '.mpg', '.mpeg', '.wmv', '.3gp',
                  '.asf', '.flv', '.m2ts', '.mts', '.ogv', '.ts')
RESULT_FOLDERS = ('vis', *FORMAT_NAMES)  # of a job
LOGGER = logging.getLogger('mmseg_instbox')
T = TypeVar('T')


@dataclass(frozen=True)
class InputImage:
    """One image of the inputs.

    Attributes:
        name: Path without suffix, relative to the folder that all inputs have in common; a running
            number for arrays and ``VIDEO_000000`` for frames. All names are different.
        path: Path or address of the image, None if it has none.
        load: Returns the image, (H, W, 3) uint8 BGR. Raises ValueError or FileNotFoundError naming
            the image.
    """
    name: str
    path: str | None
    load: Callable[[], np.ndarray]


class Source(NamedTuple):
    """An image before it is named, or a video.

    ``path`` is a path or address, None for what is in memory; ``load`` takes the name that errors
    use, and returns the image; ``video`` are the frames, instead of an image.
    """
    path: str | None
    load: Callable[[str], np.ndarray]
    video: VideoFrames | None = None


class InputImages(Iterator[InputImage]):
    """An iterator over images; ``total`` is their number, None if unknown, and of a video as its
    header says."""

    def __init__(self, sources: Iterable[Source | InputImage], total: int | None,
                 root: str = '') -> None:
        self.total = total
        self._images = _name_images(sources, root)

    def __next__(self) -> InputImage:
        return next(self._images)


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
    if not isinstance(inputs, Iterable) or isinstance(inputs, str | np.ndarray | dict | bytes):
        inputs = [inputs]
    if isinstance(inputs, list | tuple):
        sources = [source for item in inputs for source in expand(item)]
        videos = [each.video for each in sources if getattr(each, 'video', None)]
        total = None if any(each.total is None for each in videos) else (
            len(sources) - len(videos) + sum(each.total for each in videos))
        files = [each.path for each in sources if each.path and not is_http(each.path)]
        return InputImages(sources, total, common_folder(files))
    total = len(inputs) if hasattr(inputs, '__len__') else None
    return InputImages((source for item in inputs for source in expand(item)), total)


def expand(item: Any) -> list[Source | InputImage]:
    """Returns the images and videos that one input of :func:`read_inputs` stands for."""
    if isinstance(item, InputImage):
        return [item]
    if isinstance(item, np.ndarray):
        return [Source(None, partial(array_to_bgr, item))]
    if isinstance(item, Image.Image):
        return [Source(str(getattr(item, 'filename', '')) or None, partial(pil_to_bgr, item))]
    if not isinstance(item, str | Path):
        raise InvalidTypeError('Images are given as path, folder, pattern, address, array (H, W, '
                               '3) uint8 BGR, PIL image, or a list or iterable of these, not as '
                               f'{type(item).__name__}.')
    text = str(item)
    if is_http(text):
        return [Source(text, fetch_image)]
    path = Path(text).expanduser()
    if path.is_dir():
        files = select_files(_files(path.iterdir()), str(path), IMAGE_SUFFIXES)
        if not files:
            raise MissingFileError(f'{path}: no images in this folder, expected files that end in '
                                   f'{", ".join(IMAGE_SUFFIXES)}. For images in subfolders '
                                   f"give a pattern: '{path}/**/*.jpg'.")
    elif glob.has_magic(text) and not path.exists():
        files = leave_out_results(select_files(
            _without_loops(_files(map(Path, glob.glob(str(path), recursive=True)))), text))
        if not files:
            raise MissingFileError(f'{text}: no image or video matches this pattern.')
    else:
        files = [path]
    return list(map(_open_file, files))


def _files(paths: Iterable[Path]) -> list[Path]:
    return sorted(each for each in paths if each.is_file())


def _without_loops(files: list[Path]) -> list[Path]:
    """Leaves out files in folders that a link leads back from, which a pattern gives many times."""
    loops = {folder: any(each.is_symlink() and each.parent.resolve().is_relative_to(each.resolve())
                         for each in (folder, *folder.parents))
             for folder in {file.parent for file in files}}
    return [file for file in files if not loops[file.parent]]


def select_files(files: Iterable[T], where: str,
                 suffixes: tuple[str, ...] = IMAGE_SUFFIXES + VIDEO_SUFFIXES,
                 path: Callable[[T], Any] = lambda file: file) -> list[T]:
    """Keeps the files with some lower-case suffixes; logs how many others there are.

    Hidden files, those of macOS archives (``__MACOSX``) and ``Thumbs.db`` are neither. ``where``
    the files are is for the log; ``path`` gives the path of one.
    """
    kept, skipped = [], Counter()
    for file in files:
        each = PurePath(path(file))
        if each.name.startswith('.') or '__MACOSX' in each.parts or each.name == 'Thumbs.db':
            continue
        if each.suffix.lower() in suffixes:
            kept.append(file)
        else:
            skipped[each.suffix.lower() or 'without suffix'] += 1
    if skipped:
        kinds = ', '.join(f'{number} {suffix}' for suffix, number in skipped.most_common(5))
        LOGGER.warning('%s: %d files are skipped that are no images or cannot be read here (%s).',
                       where, skipped.total(), kinds)
    return kept


def leave_out_results(files: list[Path]) -> list[Path]:
    """Leaves out results of a job, and drawings of an inferencer beside its predictions; logs how
    many. If there is nothing else they are meant."""
    kept = [each for each in files
            if not any(map(holds_results, Path(os.path.abspath(each)).parents))]
    if kept and len(kept) < len(files):
        LOGGER.warning('%d files are skipped that are results of an earlier prediction.',
                       len(files) - len(kept))
    return kept or files


def holds_results(folder: Path) -> bool:
    """Whether a folder is one of those of a job, or that of an inferencer's drawings."""
    above = folder.parent
    return (folder.name == 'vis' and (above / 'preds').is_dir()
            or folder.name in RESULT_FOLDERS and (above / 'settings.json').is_file()
            and (above / 'parquet').is_dir())


def _open_file(path: Path) -> Source:
    if path.suffix.lower() not in VIDEO_SUFFIXES or not path.is_file():
        return Source(str(path), read_image)
    try:
        return Source(str(path), read_image, VideoFrames(path))
    except InstBoxError:
        return Source(str(path), VideoFrames)  # raises again when it is loaded


def _name_images(sources: Iterable[Source | InputImage], root: str) -> Iterator[InputImage]:
    """Yields the images of all sources, with names that are different."""
    taken: set[str] = set()
    for number, source in enumerate(sources):
        if isinstance(source, InputImage):
            yield source
            continue
        path, name = source.path, f'{number:06d}'
        if path is not None:
            name = distinct_name(path_in_store(path), taken, root)
        if source.video is None:
            yield InputImage(name, path, partial(source.load, path or f'image {name}'))
            continue
        for index, frame in enumerate(source.video):
            yield InputImage(f'{name}_{index:06d}', None, partial(np.asarray, frame))


def path_in_store(address: str) -> PurePath:
    """Returns the path that names an image: of an http address its path, of others all of it."""
    if is_http(address):
        return PurePath(unquote(urlsplit(address).path).strip('/') or 'image')
    return PurePath(address if '://' in address else os.path.abspath(address))
