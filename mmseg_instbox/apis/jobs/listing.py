"""The images and videos of a job, without opening them."""
import os
import re
from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...errors import MissingFileError
from ...utils.decoding import decode_image, fetch_image, read_image
from ...utils.file_names import common_folder, distinct_name, readable
from ...utils.inputs import (
    IMAGE_SUFFIXES,
    RESULT_FOLDERS,
    VIDEO_SUFFIXES,
    InputImage,
    expand,
    is_http,
    leave_out_results,
    path_in_store,
    select_files,
)
from .storage import Storage, is_url

FRAME = re.compile(r'_\d{6}$')  # the end of the name of a video's frame


class JobInput(NamedTuple):
    """An image or a video of a job."""
    image: str  # path or address in UTF-8, which identifies it in the results
    size: int  # bytes, 0 if unknown
    time: int  # of the last change in nanoseconds, 0 if unknown
    root: str = ''  # the address by the user that it was found at, '' for paths and http(s)
    path: str = ''  # its name there, or its path on this machine as the system has it


def list_inputs(inputs: Sequence[str]) -> tuple[list[JobInput], list[JobInput]]:
    """Lists the images and the videos that inputs stand for, each once, in a fixed order.

    Inputs are files, folders, patterns, http(s) addresses of images; or addresses of files or
    directories in a store, which stand for all images beneath. Patterns leave out results of
    earlier jobs, and so do files, which a shell may have made of a pattern, unless all are such.
    FileNotFoundError if an input does not exist or holds no image.
    """
    files = [Path(each) for each in inputs if os.path.isfile(each)]
    results = {str(each) for each in set(files) - set(leave_out_results(files))}
    found: dict[str, JobInput] = {}
    for text in inputs:
        if is_url(text) and not is_http(text):
            images = _in_store(text)
        else:
            images = [_with_facts(source.path) for source in expand(text)
                      if source.path not in results]
        found.update((each.image, each) for each in images if each.image not in found)
    kinds: dict[bool, list[JobInput]] = {False: [], True: []}
    for each in found.values():  # a video that does not exist fails as an image
        kinds[each.image.lower().endswith(VIDEO_SUFFIXES) and each.time > 0].append(each)
    return kinds[False], kinds[True]


def _with_facts(path: str) -> JobInput:
    if is_url(path) or not os.path.isfile(path):  # a missing file fails when it is loaded
        return JobInput(path, 0, 0, path=path)
    facts, path = os.stat(path), os.path.abspath(path)
    return JobInput(readable(path), facts.st_size, facts.st_mtime_ns, path=path)


def _in_store(root: str) -> list[JobInput]:
    storage = Storage(root)
    if not storage.exists():
        raise MissingFileError(f'{storage.address()}: no such file or directory.')
    files = storage.files()
    names = {each.name for each in files}
    jobs = {name.partition('parquet/')[0] for name in names if name.endswith('.parquet')}
    results = tuple(f'{job}{folder}/' for job in jobs if f'{job}settings.json' in names
                    for folder in RESULT_FOLDERS)
    files = [each for each in files
             if '/.' not in f'/{each.name}' and not each.name.startswith(results)]
    files = select_files(files, storage.address(), IMAGE_SUFFIXES,
                         lambda file: storage.address(file.name))
    if not files:
        raise MissingFileError(f'{storage.address()}: no images here, expected files that end in '
                               f'{", ".join(IMAGE_SUFFIXES)}.')
    return [JobInput(storage.address(name), size, time, root, name) for name, size, time in files]


def output_names(images: Sequence[JobInput], videos: Sequence[JobInput] = ()) -> dict[str, str]:
    """Gives each input, by path or address, a name without suffix for what is written of it,
    relative to the folder that all have in common; different for all images, and for all videos."""
    root = common_folder(each.image for each in (*images, *videos) if not is_http(each.image))
    names = {}
    for inputs in (images, videos):
        # frames of a video, NAME_000000, may lie beside it
        taken = {each.rpartition('_')[0] for each in names.values() if FRAME.search(each)}
        names.update((each.image, distinct_name(path_in_store(each.image), taken, root))
                     for each in inputs)
    return names


def open_input(image: JobInput) -> InputImage:
    """Turns a listed image into an input of an inferencer, named by its address."""
    return InputImage(image.image, image.image, partial(_read, image))


def _read(image: JobInput) -> np.ndarray:
    if image.root:
        return decode_image(_open_storage(image.root).read(image.path), image.image)
    if is_http(image.image):
        return fetch_image(image.image)
    return read_image(image.path)


_open_storage = lru_cache(Storage)  # keeps connections
