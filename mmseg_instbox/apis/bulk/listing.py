"""The images of a bulk run, without opening them."""
import os
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from ...errors import InvalidInputError, MissingFileError
from ...utils.decoding import decode_image
from ...utils.inputs import IMAGE_SUFFIXES, InputImage, read_inputs
from ..prediction_job import split_videos
from .storage import Storage, is_url


class BulkImage(NamedTuple):
    """One image of a bulk run.

    ``image``: its path or address, which names it in the results; ``size`` in bytes and ``time`` of
    its last change in nanoseconds, 0 if unknown; ``root``: the address given by the user that it
    was found at, '' for paths and for http(s); ``path``: its path on the file system there.
    """
    image: str
    size: int
    time: int
    root: str = ''
    path: str = ''


def list_images(inputs: Sequence[str]) -> list[BulkImage]:
    """All images of some inputs, each once, in a fixed order.

    Args:
        inputs: As of ``instbox predict``: files, folders, patterns, http(s) addresses of images;
            or addresses of files or directories in a store, whose images are those anywhere
            beneath.

    Raises:
        FileNotFoundError: An input that is not there or holds no image.
        ValueError: A video, or an address of an unknown kind.
    """
    pictures, videos = split_videos([str(each) for each in inputs])
    if videos:
        raise InvalidInputError(f'{videos[0]}: videos are not for bulk inference; leave them out, '
                                'or use the engine local.')
    found: dict[str, BulkImage] = {}
    for text in pictures:
        store = is_url(text) and not text.startswith(('http://', 'https://'))
        for each in _in_store(text) if store else _on_this_machine(text):
            found.setdefault(each.image, each)
    return list(found.values())


def _on_this_machine(text: str) -> list[BulkImage]:
    return [_with_facts(each.path) for each in read_inputs(text)]


def _with_facts(path: str) -> BulkImage:
    if is_url(path) or not os.path.isfile(path):  # the latter fails with a sentence when loaded
        return BulkImage(path, 0, 0)
    facts = os.stat(path)
    return BulkImage(os.path.abspath(path), facts.st_size, facts.st_mtime_ns)


def _in_store(root: str) -> list[BulkImage]:
    from pyarrow.fs import FileType
    storage = Storage(root)
    base = storage.info(storage.root)
    if base.type == FileType.NotFound:
        raise MissingFileError(f'{storage.address(storage.root)}: no such file or directory.')
    files = [base] if base.is_file else storage.files(storage.root, recursive=True)
    images = [BulkImage(storage.address(each.path), each.size, each.mtime_ns or 0, root, each.path)
              for each in files if each.path.lower().endswith(IMAGE_SUFFIXES)]
    if not images:
        raise MissingFileError(f'{storage.address(storage.root)}: no images here, expected files '
                               f'that end in {", ".join(IMAGE_SUFFIXES)}.')
    return images


class ImageOpener:
    """Makes inputs of an inferencer out of listed images; keeps connections."""

    def __init__(self) -> None:
        self._storages: dict[str, Storage] = {}

    def __call__(self, image: BulkImage) -> InputImage:
        """The image as an input whose name is its address; it is read when it is loaded."""
        load = partial(self._read, image) if image.root else partial(_read_path, image.image)
        return InputImage(image.image, image.image, load)

    def _read(self, image: BulkImage) -> np.ndarray:
        if image.root not in self._storages:
            self._storages[image.root] = Storage(image.root)
        return decode_image(self._storages[image.root].read(image.path), image.image)


def _read_path(path: str) -> np.ndarray:
    return next(read_inputs(path)).load()
