"""What readers of annotations fill and return, and how files below a folder are found and read."""
import json
import os
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...utils.foreign_errors import convert_errors
from ...utils.inputs import holds_results
from ...utils.limits import check_limit, limit

SPLITS = dict(train='train', training='train', val='val', valid='val', validation='val',
              dev='val', test='test', testing='test')
FATAL = ('nothing to train on', 'too many categories')
DEFAULT_CATEGORY = 'object'  # where a format has none
BACKGROUND = ('background', '_background_')  # names that are no category of objects
# folders that hold no data: of archives that a Mac made, and of trainings started in the folder
PASSED_OVER = ('__MACOSX', 'work_dirs')


@dataclass(frozen=True)
class Problem:
    """A fault of annotated images.

    Attributes:
        kind: What is wrong, in two or three words that all problems of the kind share.
        file: The file, relative to the folder of the data where it lies there.
        message: Which image or annotation, and what became of it.
        image: File name of the image, if one is concerned and can be used.
    """
    kind: str
    file: str
    message: str
    image: str = ''

    @property
    def fatal(self) -> bool:
        """Whether a training is impossible with this problem."""
        return self.kind in FATAL

    def __str__(self) -> str:
        return f'{self.file}: {self.message}'.removeprefix(': ')


@dataclass
class AnnotatedImages:
    """Images with objects, whatever format they came in.

    Attributes:
        root: The folder that the file names of the images are relative to.
        coco: ``images``, ``annotations``, ``categories`` and, if there are any, ``videos`` as in an
            instances JSON of COCO: all that can be used, with ``bbox``, ``area`` and ``iscrowd``,
            ready for JSON. An annotation has polygons or a compressed run-length encoding in the
            pixels of the image as shown, that is, turned as its EXIF orientation says.
        problems: All faults; the annotation or image concerned is repaired or left out.
    """
    root: Path
    coco: dict[str, list[dict]]
    problems: list[Problem] = field(default_factory=list)

    @property
    def fatal(self) -> list[Problem]:
        """The problems that make a training impossible."""
        return [problem for problem in self.problems if problem.fatal]

    def by_image(self) -> dict[int, list[dict]]:
        """The annotations by the id of their image; an empty list for an image of none."""
        found = defaultdict(list)
        for each in self.coco['annotations']:
            found[each['image_id']].append(each)
        return found


@dataclass
class Annotations:
    """What one or more annotation files say, unchecked, in COCO's tables.

    An image may lack its size, and may have ``source``, the file that describes it; an annotation
    may lack its id. Polygons and run lengths are in pixels.

    Attributes:
        file: The annotation file or folder, for messages.
        split: 'train', 'val', 'test' or 'all'.
        near: Folder that the file names of the images are relative to, relative to the root.
        images, annotations, categories, videos: COCO's tables.
        problems: Faults that were found.
    """
    file: str
    split: str = 'all'
    near: str = ''
    images: list[dict] = field(default_factory=list)
    annotations: list[dict] = field(default_factory=list)
    categories: list[dict] = field(default_factory=list)
    videos: list[dict] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def add_image(self, file_name: str, source: str, **more: Any) -> int:
        """Add an image and return its id."""
        self.images.append(dict(id=len(self.images) + 1, file_name=file_name, source=source,
                                **more))
        return len(self.images)

    def add(self, image_id: int, category: str, segmentation: list | dict, **more: Any) -> None:
        """Add an annotation, and its category if it is new."""
        category_id = next((row['id'] for row in self.categories if row['name'] == category), None)
        if category_id is None:
            category_id = len(self.categories) + 1
            self.categories.append(dict(id=category_id, name=category))
        self.annotations.append(dict(image_id=image_id, category_id=category_id,
                                     segmentation=segmentation, **more))

    def report(self, kind: str, file: str, message: str, image: str = '') -> None:
        """Add a problem."""
        self.problems.append(Problem(kind, file, message, image))


def list_files(root: Path, suffixes: tuple[str, ...]) -> list[str]:
    """The files below a folder with one of some suffixes in any case, none of them hidden.

    Links are followed; folders of results of a prediction are left out. The files are relative to
    the folder, with slashes, and in order.
    """
    found, seen = [], set()
    for folder, folders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [each for each in folders if each[0] != '.' and each not in PASSED_OVER
                      and not holds_results(Path(folder, each))]
        below = os.path.relpath(folder, root).replace(os.sep, '/')
        found += [name if below == '.' else f'{below}/{name}' for name in names
                  if name[0] != '.' and name.lower().endswith(suffixes)]
    return sorted(found)


def read_text(path: Path) -> str:
    """Read a text file in UTF-8, with or without BOM, or in UTF-16 with BOM; else as Latin-1.

    Raises:
        ValueError: It is larger than the limit ``json_bytes``.
    """
    check_limit('json_bytes', path.stat().st_size, f'{path}: the annotation file')
    content = path.read_bytes()
    coding = 'utf-16' if content[:2] in (b'\xff\xfe', b'\xfe\xff') else 'utf-8-sig'
    try:
        return content.decode(coding)
    except UnicodeDecodeError:
        return content.decode('latin-1')


def parse_json(text: str | bytes, path: str | Path) -> Any:
    """The content of a JSON file; raises ValueError, naming the file, if it is none."""
    with convert_errors(f'{path}: the annotation file is no JSON or was cut off; export or fetch '
                        'it again', ValueError, RecursionError):
        return json.loads(text)


def find_split(parts: Iterable[str]) -> str:
    """The split that names of folders and files tell, the last one first: 'all' if none does."""
    words = (word for part in reversed([*parts]) for word in re.split('[^a-z]+', part.lower()))
    return next((SPLITS[word] for word in words if word in SPLITS), 'all')


def number(value: Any) -> int | None:
    """A whole number that a file may hold as text or as float; None if it is something else."""
    if type(value) is int:
        return value
    try:
        return None if isinstance(value, bool) or int(value) != float(value) else int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def is_size(width: int | None, height: int | None) -> bool:
    """Whether two numbers of a file can be the size of an image."""
    return bool(width and height) and min(width, height) > 0 and width * height <= limit('pixels')


def id_key(value: Any) -> Any:
    """An id as a whole number where it is one, else as it is; None if it is none."""
    whole = number(value)
    return whole if whole is not None else value if isinstance(value, str | tuple) else None
