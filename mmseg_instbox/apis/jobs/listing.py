"""The images and videos of a job, without opening them."""
import glob
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import numpy as np

from ...errors import MissingFileError
from ...utils.decoding import decode_image
from ...utils.inputs import (
    IMAGE_SUFFIXES,
    VIDEO_SUFFIXES,
    InputImage,
    distinct_name,
    read_inputs,
)
from .storage import Storage, is_url


class JobInput(NamedTuple):
    """An image or a video of a job.

    ``image``: its path or address, which identifies it in the results; ``size`` in bytes and
    ``time`` of its last change in nanoseconds, 0 if unknown; ``root``: the address given by the
    user that it was found at, '' for paths and for http(s); ``path``: its path in that store.
    """
    image: str
    size: int
    time: int
    root: str = ''
    path: str = ''


def list_inputs(inputs: Sequence[str]) -> tuple[list[JobInput], list[JobInput]]:
    """Lists images and videos, each once, in a fixed order.

    Args:
        inputs: Files, folders, patterns, http(s) addresses of images; or addresses of files or
            directories in a store, which stand for all images beneath.

    Returns:
        tuple: The images and the videos.

    Raises:
        FileNotFoundError: An input does not exist or holds no image.
        ValueError: The kind of an address is unknown.
    """
    images, videos = split_videos([str(each) for each in inputs])
    found: dict[str, JobInput] = {}
    for text in images:
        in_store = is_url(text) and not text.startswith(('http://', 'https://'))
        for each in _in_store(text) if in_store else map(
                _with_facts, (image.path for image in read_inputs(text))):
            found.setdefault(each.image, each)
    return list(found.values()), list(dict.fromkeys(map(_with_facts, videos)))


def split_videos(inputs: Sequence[str]) -> tuple[list[str], list[str]]:
    """Separates the paths of videos from other inputs; expands patterns that match videos."""
    images, videos = [], []
    for text in inputs:
        found = [text]
        if glob.has_magic(text) and not Path(text).exists():
            found = sorted(glob.glob(text, recursive=True))
        films = [each for each in found if each.lower().endswith(VIDEO_SUFFIXES)
                 and Path(each).is_file()]
        videos += films
        if films:
            images += [each for each in found if each.lower().endswith(IMAGE_SUFFIXES)]
        else:
            images.append(text)  # a pattern without matches is an error of its own
    return images, videos


def _with_facts(path: str) -> JobInput:
    if is_url(path) or not os.path.isfile(path):  # a missing file fails when it is loaded
        return JobInput(path, 0, 0)
    facts = os.stat(path)
    return JobInput(os.path.abspath(path), facts.st_size, facts.st_mtime_ns)


def _in_store(root: str) -> list[JobInput]:
    storage = Storage(root)
    if not storage.exists(storage.root):
        raise MissingFileError(f'{storage.address(storage.root)}: no such file or directory.')
    images = [JobInput(storage.address(path), size, time, root, path)
              for path, size, time in storage.files(storage.root, recursive=True)
              if path.lower().endswith(IMAGE_SUFFIXES)]
    if not images:
        raise MissingFileError(f'{storage.address(storage.root)}: no images here, expected files '
                               f'that end in {", ".join(IMAGE_SUFFIXES)}.')
    return images


def output_names(inputs: Sequence[JobInput], ending: str = '') -> dict[str, str]:
    """Gives each input a distinct file name, without suffix, for what is written of it.

    Args:
        inputs: Images or videos.
        ending: Follows the stem of each.

    Returns:
        dict: Names by path or address.
    """
    taken: set[str] = set()
    names = {}
    for image, *_ in inputs:
        path = Path(unquote(urlsplit(image).path).strip('/') or 'image') if is_url(image) else (
            Path(image))
        names[image] = distinct_name(path.with_name(path.stem + ending + path.suffix), taken)
    return names


class ImageOpener:
    """Turns listed images into inputs of an inferencer; keeps connections to stores."""

    def __init__(self) -> None:
        self._storages: dict[str, Storage] = {}

    def __call__(self, image: JobInput) -> InputImage:
        """Returns the image as an input named by its address; it is read when it is loaded."""
        load = partial(self._read, image) if image.root else partial(_read_path, image.image)
        return InputImage(image.image, image.image, load)

    def _read(self, image: JobInput) -> np.ndarray:
        if image.root not in self._storages:
            self._storages[image.root] = Storage(image.root)
        return decode_image(self._storages[image.root].read(image.path), image.image)


def _read_path(path: str) -> np.ndarray:
    return next(read_inputs(path)).load()
