"""What every reader of annotations returns, and how text files are read."""
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import InvalidInputError
from ...utils.foreign_errors import reason
from ...utils.limits import check_limit

SPLITS = dict(train='train', training='train', val='val', valid='val', validation='val',
              dev='val', test='test', testing='test')
FATAL = ('nothing to train on', 'too many categories')
DEFAULT_CATEGORY = 'object'  # where a format has none


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
        coco: ``images``, ``annotations`` and ``categories`` as in an instances JSON of COCO: all
            that can be used, with ``bbox``, ``area`` and ``iscrowd``, ready for JSON. An annotation
            has polygons or a compressed run-length encoding in the pixels of the image as shown,
            that is, turned as its EXIF orientation says.
        problems: All faults; the annotation or image concerned is repaired or left out.
    """
    root: Path
    coco: dict[str, list[dict]]
    problems: list[Problem] = field(default_factory=list)

    @property
    def fatal(self) -> list[Problem]:
        """The problems that make a training impossible."""
        return [problem for problem in self.problems if problem.fatal]


@dataclass
class Annotations:
    """What one or more annotation files say, unchecked, in COCO's tables.

    An image may lack its size, and may have ``source``, the file that describes it; an annotation
    may lack its id. Polygons and run lengths are in pixels.

    Attributes:
        file: The annotation file or folder, for messages.
        split: 'train', 'val', 'test' or 'all'.
        images, annotations, categories: COCO's tables.
        near: Folder in which the images are looked for first, relative to the root.
        problems: Faults that the reader found.
    """
    file: str
    split: str = 'all'
    images: list[dict] = field(default_factory=list)
    annotations: list[dict] = field(default_factory=list)
    categories: list[dict] = field(default_factory=list)
    near: str = ''
    problems: list[Problem] = field(default_factory=list)

    def category_id(self, name: str) -> int:
        """The id of a category, which is added if it is new."""
        for row in self.categories:
            if row['name'] == name:
                return row['id']
        self.categories.append(dict(id=len(self.categories) + 1, name=name))
        return len(self.categories)

    def add_image(self, file_name: str, source: str, **size: int) -> int:
        """Add an image and return its id."""
        number = len(self.images) + 1
        self.images.append(dict(id=number, file_name=file_name, source=source, **size))
        return number

    def add(self, image_id: int, category: str, segmentation: list | dict, **more: Any) -> None:
        """Add an annotation."""
        self.annotations.append(dict(image_id=image_id, category_id=self.category_id(category),
                                     segmentation=segmentation, **more))

    def report(self, kind: str, file: str, message: str) -> None:
        """Add a problem."""
        self.problems.append(Problem(kind, file, message))


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


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        ValueError: It is no JSON, or larger than the limit ``json_bytes``.
    """
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        if isinstance(error, InvalidInputError):
            raise
        raise InvalidInputError(f'{path}: the annotation file is no JSON or was cut off '
                                f'({reason(error)}). Export it again.') from error


def find_split(parts: Iterable[str]) -> str:
    """The split that names of folders and files tell, the last one first: 'all' if none does."""
    for part in reversed([*parts]):
        for word in re.split('[^a-z]+', part.lower()):
            if word in SPLITS:
                return SPLITS[word]
    return 'all'


def number(value: Any) -> int | None:
    """A whole number that a file may hold as text or as float; None if it is something else."""
    try:
        return None if isinstance(value, bool) or int(value) != float(value) else int(value)
    except (TypeError, ValueError, OverflowError):
        return None
