"""Objects as masks: the layout of PASCAL VOC, and one mask of instance ids an image."""
import csv
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
from pycocotools import mask as mask_tools

from mmseg_instbox.errors import InstBoxError

from ...utils.foreign_errors import reason
from ...utils.image_header import open_image
from ..instance_maps import VOID
from ..voc_layout import VOC_CLASSES, voc_palette
from .annotated_images import DEFAULT_CATEGORY, Annotations, find_split, read_text
from .image_finder import ImageFinder

MASK_SUFFIXES = ('.png', '.tif', '.tiff', '.bmp', '.gif')
MASK_ENDING = re.compile(r'[_.-]?(masks?|inst(ances?)?(ids)?|labels?|seg|gt)$', re.IGNORECASE)
MASK_FOLDER = re.compile('mask|annot|label|inst|seg|gt', re.IGNORECASE)
NAME_FILES = ('labelmap.txt', 'classes.txt', 'class_names.txt', 'labels.txt', 'obj.names')
BACKGROUND = ('background', '_background_')
ID_DIVISOR = 1000  # of masks whose values are category * 1000 + number, as in Cityscapes


def read_names(root: Path) -> list[str]:
    """Names of categories in a text file of the root, one a line; empty without such a file."""
    return [line.split(':')[0].strip() for line in _name_lines(root)]


def _name_lines(root: Path) -> list[str]:
    file = next((root / name for name in NAME_FILES if (root / name).is_file()), None)
    lines = read_text(file).splitlines() if file else []
    return [line.strip() for line in lines
            if line.strip() and line[0] != '#' and line.strip() != '__ignore__']


def read_values(path: Path, colours: bool = False) -> np.ndarray:
    """The values of a mask (H, W) int64: indices, or colours as ``red << 16 | green << 8 | blue``.

    Args:
        path: An indexed, grey (8, 16 or 32 bits) or RGB image.
        colours: Whether the colours of an indexed image are wanted instead of its indices.

    Raises:
        ValueError: It cannot be read.
    """
    with open_image(path, str(path)) as image:
        if image.mode in ('RGB', 'RGBA') or (colours and image.mode == 'P'):
            rgb = np.asarray(image.convert('RGB'), dtype=np.int64)
            grey = (rgb[..., 0] == rgb[..., 1]).all() and (rgb[..., 0] == rgb[..., 2]).all()
            if grey and not colours:
                return rgb[..., 0]
            return rgb @ np.array([1 << 16, 1 << 8, 1])
        return np.asarray(image if image.mode != '1' else image.convert('L')).astype(np.int64)


def _encode(mask: np.ndarray) -> dict:
    code = mask_tools.encode(np.asfortranarray(mask, dtype=np.uint8))
    return dict(size=[*map(int, code['size'])], counts=code['counts'].decode())


def read_voc(finder: ImageFinder) -> list[Annotations]:
    """Read ``JPEGImages``, ``SegmentationClass``, ``SegmentationObject`` and the lists in
    ``ImageSets/Segmentation``, at the root or below.

    Names are those of ``labelmap.txt`` (CVAT) or ``class_names.txt``; else VOC's own.

    Returns:
        list[Annotations]: One for each split; empty if the layout is another.
    """
    found = []
    for objects in sorted(finder.root.rglob('SegmentationObject')):
        base = objects.parent
        names = _category_names(base)
        for split, stems in _lists(base, objects):
            part = Annotations(objects.relative_to(finder.root).as_posix(), split,
                               near=(base / 'JPEGImages').relative_to(finder.root).as_posix())
            for stem in stems:
                _read_voc_image(stem, base, names, part, finder)
            found.append(part)
    return found


def _category_names(base: Path) -> dict[int, str]:
    """Names by the values of a category mask, as indices and as colours."""
    lines, palette = _name_lines(base), voc_palette()
    if not lines:
        others = {index: f'category {index}' for index in range(len(VOC_CLASSES) + 1, VOID)}
        return dict(enumerate(VOC_CLASSES, 1)) | others
    rows = [line.split(':') for line in lines]
    first = 0 if rows[0][0].lower() in BACKGROUND else 1
    names = {}
    for index, row in enumerate(rows, first):
        colour = re.findall(r'\d+', row[1])[:3] if len(row) > 1 else []
        colour = [*map(int, colour)] if len(colour) == 3 else palette[index % 256].tolist()
        if row[0].lower() not in BACKGROUND:
            names[index] = row[0].strip()
            names[_colour_code(colour)] = row[0].strip()
    return names


def _colour_code(colour: list[int]) -> int:
    return int(colour[0]) << 16 | int(colour[1]) << 8 | int(colour[2])


def _lists(base: Path, objects: Path) -> Iterator[tuple[str, list[str]]]:
    """The splits with the names of their images."""
    lists = {file.stem: read_text(file).split()
             for file in (base / 'ImageSets' / 'Segmentation').glob('*.txt')}
    splits = {name: lists[name] for name in ('train', 'val', 'test') if name in lists}
    if not splits:
        splits = dict(all=sorted({*sum(lists.values(), [])}
                                 or {file.stem for file in objects.glob('*.png')}))
    yield from splits.items()


def _read_voc_image(stem: str, base: Path, names: dict[int, str], part: Annotations,
                    finder: ImageFinder) -> None:
    files = [base / folder / f'{stem}.png' for folder in ('SegmentationClass',
                                                          'SegmentationObject')]
    source = files[1].relative_to(finder.root).as_posix()
    try:
        categories, ids = (read_values(file) for file in files)
    except (InstBoxError, OSError) as error:
        part.report('unreadable mask', source, f'{reason(error)}; {stem} is left out.')
        return
    if categories.shape != ids.shape:
        part.report('broken annotation', source, 'the masks of categories and objects differ in '
                    'size; left out.')
        return
    height, width = ids.shape
    file = finder.find(stem, part.near) or f'{stem}.jpg'
    image = part.add_image(file, source, width=width, height=height)
    for value in _object_values(ids):
        mask = ids == value
        own, counts = np.unique(categories[mask], return_counts=True)
        name = names.get(int(own[counts.argmax()]))
        if name is None:
            part.report('unknown category', source, f'object {value} has the category '
                        f'{own[counts.argmax()]}, which has no name; left out.')
        else:
            part.add(image, name, _encode(mask), number=int(value))


def _object_values(ids: np.ndarray, keep_255: bool = False) -> list[int]:
    """The values of objects: neither 0 nor void."""
    void = (VOID, _colour_code(voc_palette()[VOID].tolist()))
    return [int(value) for value in np.unique(ids) if value and (keep_255 or value not in void)]


def read_masks(finder: ImageFinder) -> list[Annotations]:
    """Read images beside masks of instance ids: ``X.png`` and ``X_mask.png``, or two folders.

    Values are instances, 0 background, 255 void where there are others. Categories are those of a
    CSV file of the root with the columns mask, value and category; or those of ``classes.txt``, if
    it has one name, or if values are ``category * 1000 + number``; else there is one category.

    Returns:
        list[Annotations]: One for each split; empty if there are no such masks.
    """
    masks = [file for file in finder.files if _is_mask(file)]
    images = defaultdict(list)
    for file in sorted({*finder.files} - {*masks}):
        images[PurePosixPath(file).stem.lower()].append(file)
    parts: dict[str, Annotations] = {}
    names = [name for name in read_names(finder.root) if name.lower() not in BACKGROUND]
    table = _read_table(finder.root)
    paired = set()
    for file in masks:
        stem = PurePosixPath(file).stem.lower()
        found = images.get(MASK_ENDING.sub('', stem)) or images.get(stem)
        if not found:
            continue
        image = max(found, key=lambda each: _common_folders(each, file))
        paired.add(image)
        split = find_split(PurePosixPath(image).parent.parts)
        _read_mask(file, image, names, table,
                   parts.setdefault(split, Annotations('masks', split)), finder)
    alone = sorted({each for group in images.values() for each in group} - paired) if parts else []
    for image in alone:
        next(iter(parts.values())).report('not annotated', image, 'there is no mask of this image; '
                                          'left out.')
    return [*parts.values()]


def _is_mask(file: str) -> bool:
    path = PurePosixPath(file)
    return path.suffix.lower() in MASK_SUFFIXES and bool(
        MASK_ENDING.search(path.stem) or any(MASK_FOLDER.search(each) for each in path.parts[:-1]))


def _common_folders(one: str, other: str) -> int:
    pairs = zip(one.split('/')[:-1], other.split('/')[:-1], strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), 99)


def _read_table(root: Path) -> dict[tuple[str, int], str]:
    """Categories by the stem of the mask and the value."""
    rows = [row for file in sorted(root.glob('*.csv')) for row in csv.reader(
        read_text(file).splitlines()) if len(row) == 3 and row[1].strip().isdigit()]
    return {(PurePosixPath(name.strip().replace('\\', '/')).stem.lower(), int(value)):
            category.strip() for name, value, category in rows}


def _read_mask(file: str, image: str, names: list[str], table: dict[tuple[str, int], str],
               part: Annotations, finder: ImageFinder) -> None:
    try:
        values = read_values(finder.root / file)
    except Exception as error:  # pillow raises many types on a broken file
        part.report('unreadable mask', file, f'{reason(error)}; {image} is left out.')
        return
    height, width = values.shape
    number = part.add_image(image, file, width=width, height=height)
    found = _object_values(values, keep_255=values.max(initial=0) > VOID)
    stems = [PurePosixPath(each).stem.lower() for each in (file, image)]
    for value in found or _object_values(values, keep_255=True):
        category = next((table[stem, value] for stem in stems if (stem, value) in table), None)
        if category is None and len(names) > 1 and value >= ID_DIVISOR:
            index = value // ID_DIVISOR - 1
            category = names[index] if index < len(names) else None
        elif category is None and not table:
            category = names[0] if len(names) == 1 else DEFAULT_CATEGORY
        if category is None:
            part.report('unknown category', file, f'the instance {value} has no category; left '
                        'out.')
            continue
        part.add(number, category, _encode(values == value), number=value)
