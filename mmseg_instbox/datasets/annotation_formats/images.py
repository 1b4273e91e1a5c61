"""Find and measure the images that annotations name."""
import os
import posixpath
import re
import unicodedata
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ...errors import InstBoxError
from ...utils.file_names import check_inside
from ...utils.foreign_errors import convert_errors, reason
from ...utils.image_header import IMAGE_SUFFIXES, open_image, orientation
from .annotated_images import Annotations, find_split, id_key, is_size, list_files, number

UPLOAD_PREFIX = re.compile('^[0-9a-f]{8}-')  # Label Studio puts it before the names of uploads
SEPARATOR = re.compile(r'[\\/]+|\?d=')  # Label Studio: /data/local-files/?d=folder/a.jpg
TURNED = (5, 6, 7, 8)  # EXIF orientations that exchange width and height
MAX_DECODED = 5000  # of larger data sets only the headers of the images are read


class ImageFinder:
    """The image files below a folder ``root``: ``files``, relative to it, in order."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = list_files(root, IMAGE_SUFFIXES)
        self.known = frozenset(self.files)
        self._names, self._stems = defaultdict(list), defaultdict(list)
        for file in self.files:
            *folders, name = _fold(file).split('/')
            for key in {name, '/'.join([*folders[-1:], name])}:
                self._names[key].append(file)
            self._stems[os.path.splitext(name)[0]].append(file)
        self.info = lru_cache(None)(self._info)

    def find(self, name: str, near: str = '', folder: str | None = None) -> str | None:
        """The file that a name means, first of all the one of the name in ``folder``.

        The name may be an address, a path of another machine, have backslashes, codes as %20,
        another case, form of Unicode or suffix, or no suffix. Of several files, the one with the
        most equal folders is meant, then the one that shares the most folders with ``near``, a
        folder or an annotation file, then one of its split, then one in a folder that the name of
        ``near`` ends with, as ``images/Batch 2`` for ``instances_Batch 2.json``, then the least
        deep. Returns None without any.
        """
        if folder is not None and (place := join_path(folder, name)) in self.known:
            return place
        if '://' in name:
            name = name.partition('?')[0]
        found = self._find(name, near)
        return self._find(unquote(name), near) if found is None and '%' in name else found

    def _find(self, name: str, near: str) -> str | None:
        parts = [part.strip() for part in SEPARATOR.split(name) if part not in ('', '.', '..')]
        last = parts[-1] if parts else ''
        lower = _fold(last)
        stem, suffix = os.path.splitext(lower)
        found = (self._names.get('/'.join(map(_fold, parts[-2:])))
                 or self._names.get(lower)
                 or self._stems.get(lower)
                 or self._stems.get(stem if suffix in IMAGE_SUFFIXES else lower)
                 or self._names.get(UPLOAD_PREFIX.sub('', lower), ()))
        if len(found) == 1:
            return found[0]
        given = [_fold(part) for part in parts[-2::-1]]
        nearby = _fold(near).split('/')
        split, subset = find_split(nearby), os.path.splitext(nearby[-1])[0]

        def rank(file: str) -> tuple:
            *folders, _ = _fold(file).split('/')
            return (_count_equal(folders[::-1], given), _count_equal(folders, nearby),
                    find_split(folders) == split,
                    any(subset.endswith(folder) for folder in folders),
                    file.endswith(last), -len(folders))

        return max(found, key=rank, default=None)

    def _info(self, file: str) -> tuple[int, int, int]:
        """Width and height of an image as shown, and its EXIF orientation; raises ValueError if it
        cannot be read."""
        with convert_errors(f'{file}: the image is broken'), open_image(
                os.path.join(self.root, file), file) as image:
            turn = orientation(image)
            width, height = image.size[::-1] if turn in TURNED else image.size
            return width, height, turn

    def find_broken(self, files: list[str]) -> dict[str, str]:
        """Decode images, at a fraction of their size where the format can, and give the reason for
        each that is broken or truncated."""

        def find_fault(file: str) -> str | None:
            try:
                with open_image(self.root / file, file) as image:
                    image.draft('L', (1, 1))
                    image.load()
            except Exception as error:  # pillow raises many types on a broken file
                return reason(error)
            return None

        with ThreadPoolExecutor() as pool:
            reasons = zip(files, pool.map(find_fault, files), strict=True)
            return {file: why for file, why in reasons if why}


def join_path(folder: str, name: str) -> str:
    """The path of a name in a folder, which may be '' or '.'."""
    return posixpath.normpath(f'{folder}/{name}').lstrip('/')


def _fold(name: str) -> str:
    """A name without what systems change: its case, and whether an accent is a character."""
    return unicodedata.normalize('NFC', name).lower()


def _count_equal(ones: list[str], others: list[str]) -> int:
    """How many of the first texts of two lists are equal."""
    return next((number for number, (one, other) in enumerate(zip(ones, others, strict=False))
                 if one != other), min(len(ones), len(others)))


def read_images(part: Annotations, finder: ImageFinder | None,
                need_images: bool) -> tuple[dict[Any, dict], list[dict]]:
    """Find and measure the images of an annotation file.

    The arguments are those of :func:`~.cleaning.clean`.

    Returns:
        tuple: The images by the id in the file, and those that can be used, in order. An image has
        an ``id``, that in the file if all are whole numbers, ``file_name``, ``width``, ``height``,
        ``source``, what the file has of ``video_id`` and ``frame_id`` and, if the objects have to
        be turned with it, ``turn``. An image that cannot be used is empty; a file that is listed
        twice has one dictionary.
    """
    images: dict[Any, dict] = {}
    files: dict[str, dict] = {}
    keys: dict[str, Any] = {}
    away = []
    for given in part.images:
        row = given if isinstance(given, dict) else {}
        source, near = row.get('source', part.file), row.get('near', part.near)
        key, name = id_key(row.get('id')), row.get('file_name')
        if key is None or not isinstance(name, str) or not name.strip():
            part.report('broken annotation', source,
                        f'the image {str(given)[:100]} has no id or no file name; left out.')
            continue
        if key in images:
            part.report('duplicate id', source, f'image {key} is there twice; {name} is left out.')
            continue
        image = _find_image(row, source, near, part, finder, need_images)
        file = image.get('file_name')
        if file in files:
            part.report('duplicate file', source, f'{file} is listed twice; its objects are '
                        'joined.', file)
        images[key] = files.setdefault(file, image) if file else {}
        keys.setdefault(file, key)
        if finder and file and file != join_path(near, name):
            away.append((source, name, file))
    for source, name, file in away:
        if not f'/{file}'.endswith(f'/{name}'):
            part.report('file name', source, f'{name!r} is taken to be {file}.')
        elif len(away) * 2 < len(files):  # most images are where the names lead
            part.report('moved file', source, f'{name} is found as {file}.')
    if finder and len(files) <= MAX_DECODED:
        there = [*files.keys() & finder.known]
        for file, why in sorted(finder.find_broken(there).items()):
            part.report('unreadable image', file, f'the image is broken or truncated ({why}); left '
                        'out.')
            files[file].clear()
    rows = [image for image in files.values() if image]
    whole = all(isinstance(keys[image['file_name']], int) for image in rows)
    for position, image in enumerate(rows, 1):
        image['id'] = keys[image['file_name']] if whole else position
    return images, rows


def _find_image(row: dict, source: str, near: str, part: Annotations, finder: ImageFinder | None,
                need_images: bool) -> dict:
    """The image of a row; empty if it cannot be used, which is reported."""
    name, width, height = row['file_name'], number(row.get('width')), number(row.get('height'))
    known = is_size(width, height)
    image = dict(file_name=name.replace('\\', '/'), width=width, height=height, source=source,
                 **{key: row[key] for key in ('video_id', 'frame_id') if key in row})
    if finder is None:
        try:
            check_inside(name, source)
        except InstBoxError as error:
            part.report('file name', source, f'{error} Left out.')
            return {}
        if not known:
            part.report('image size', source, f'{name} has the size {width} x {height}; left out.')
        return image if known else {}
    file = finder.find(name, source, near)
    if file is None:
        if need_images or not known:
            part.report('missing file', source, f'there is no image {name}; left out.')
            return {}
        return image
    try:
        width, height, turn = finder.info(file)
    except (InstBoxError, OSError) as error:
        part.report('unreadable image', file, f'{reason(error)}; left out.')
        return {}
    given = (image['width'], image['height']) if known else None
    image |= dict(file_name=file, width=width, height=height)
    if given == (height, width) != (width, height) and turn in TURNED:
        image['turn'] = turn
        part.report('orientation', source, f'{file} is turned by its EXIF orientation, its objects '
                    'are not; they are turned, too.', file)
    elif given not in (None, (width, height)):
        part.report('image size', source, f'{file} is {width} x {height} pixels, not {given[0]} x '
                    f'{given[1]}; its objects stay where they are.', file)
    elif given and (turn in (2, 3, 4) or turn in TURNED and width == height):
        part.report('orientation', source, f'{file} has the EXIF orientation {turn}; its '
                    'objects are taken to be drawn on the turned image.', file)
    return image
