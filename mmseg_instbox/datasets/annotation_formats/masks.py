"""Objects as masks: the layout of PASCAL VOC, and one mask of instance ids an image."""
import csv
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from mmseg_instbox.errors import InstBoxError, InvalidInputError

from ...utils.foreign_errors import convert_errors, reason
from ...utils.image_header import open_image
from ...utils.run_lengths import encode_mask
from ..instance_maps import VOID
from ..voc_layout import VOC_CLASSES, voc_palette
from .annotated_images import DEFAULT_CATEGORY, SPLITS, Annotations, find_split, read_text
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


def read_values(path: Path, colours: Mapping[int, int] = {}) -> np.ndarray:
    """The values of a mask (H, W) int64.

    Args:
        path: An indexed, grey (1 to 32 bits) or RGB image.
        colours: The index that each colour, ``red << 16 | green << 8 | blue``, stands for. They
            count in RGB images, and in indexed ones that have no other colours: programs that save
            an image again may change its indices. Another colour becomes ``-colour - 1``.

    Returns:
        np.ndarray: Indices; of an RGB image that is not grey, without ``colours``, colours.

    Raises:
        ValueError: It cannot be read, or holds fractions.
    """
    with convert_errors(f'{path}: the mask is broken'), open_image(path, str(path)) as image:
        if image.mode == 'F':
            raise InvalidInputError(f'{path}: the mask holds fractions, expected whole numbers.')
        if image.mode in ('RGB', 'RGBA'):
            return _rgb_values(np.asarray(image.convert('RGB'), dtype=np.int64), colours)
        several = len(image.getbands()) > 1  # grey or indices, and transparency
        values = np.asarray(image.getchannel(0) if several else image).astype(np.int64)
        palette = image.getpalette() if image.mode == 'P' else None
    return values if palette is None else _palette_values(values, palette, colours)


def _rgb_values(rgb: np.ndarray, colours: Mapping[int, int]) -> np.ndarray:
    codes = rgb @ np.array([1 << 16, 1 << 8, 1])
    found, places = np.unique(codes, return_inverse=True)
    if not all(code in colours for code in found.tolist()) and (rgb == rgb[..., :1]).all():
        return rgb[..., 0]
    if not colours:
        return codes
    indices = [colours.get(code, -code - 1) for code in found.tolist()]
    return np.array(indices, np.int64)[places.reshape(codes.shape)]


def _palette_values(values: np.ndarray, palette: list[int],
                    colours: Mapping[int, int]) -> np.ndarray:
    codes = [*map(_colour_code, zip(*[iter(palette)] * 3, strict=False))]
    used = np.bincount(values.ravel()).nonzero()[0].tolist()
    if not all(index < len(codes) and codes[index] in colours for index in used):
        return values
    return np.array([colours.get(code, 0) for code in codes], np.int64)[values]


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
        names, colours = _category_names(base)
        masks = [_stems(base / 'SegmentationClass'), _stems(objects)]
        for split, stems in _lists(base, masks[1]):
            part = Annotations(objects.relative_to(finder.root).as_posix(), split,
                               near=(base / 'JPEGImages').relative_to(finder.root).as_posix())
            for stem in stems:
                _read_voc_image(stem, masks, names, colours, part, finder)
            found.append(part)
    return found


def _category_names(base: Path) -> tuple[dict[int, str], dict[int, int]]:
    """Names of the categories by index, and the index, 0 for background, of each colour."""
    lines, palette = _name_lines(base), voc_palette()
    # three colons end a line of CVAT, and a name may have some, too
    rows = [line.rsplit(':', 3) if line.count(':') > 2 else line.split(':')
            for line in lines or (BACKGROUND[0], *VOC_CLASSES)]
    first = 0 if rows[0][0].lower() in BACKGROUND else 1
    names = {}
    colours = {0: 0, _colour_code(palette[VOID].tolist()): VOID}
    for index, row in enumerate(rows, first):
        colour = re.findall(r'\d+', row[1])[:3] if len(row) > 1 else []
        colour = [*map(int, colour)] if len(colour) == 3 else palette[index % 256].tolist()
        is_background = row[0].strip().lower() in BACKGROUND
        colours[_colour_code(colour)] = 0 if is_background else index
        if not is_background:
            names[index] = row[0].strip()
    if not lines:
        names |= {index: f'category {index}' for index in range(len(rows), VOID)}
    return names, colours


def _colour_code(colour: Sequence[int]) -> int:
    return int(colour[0]) << 16 | int(colour[1]) << 8 | int(colour[2])


def _stems(folder: Path) -> dict[str, Path]:
    """The masks below a folder, by their lower-case paths without suffix."""
    return {file.relative_to(folder).with_suffix('').as_posix().lower(): file
            for file in sorted(folder.rglob('*')) if file.suffix.lower() == '.png'
            and not file.name.startswith('.')}


def _lists(base: Path, masks: dict[str, Path]) -> Iterator[tuple[str, list[str]]]:
    """The splits with the names of their images."""
    lists = {file.stem.lower(): [_listed_name(line, masks) for line
                                 in read_text(file).splitlines() if line.strip()]
             for file in sorted((base / 'ImageSets' / 'Segmentation').glob('*'))
             if file.suffix.lower() == '.txt' and not file.name.startswith('.')}
    splits: dict[str, list[str]] = {}
    for word, split in SPLITS.items():
        if word in lists:
            splits[split] = [*dict.fromkeys([*splits.get(split, []), *lists[word]])]
    yield from (splits or dict(all=sorted({*sum(lists.values(), [])} or masks))).items()


def _listed_name(line: str, masks: dict[str, Path]) -> str:
    """The name of an image in a list, which may have a suffix, folders of another machine, or the
    1 or -1 of VOC's lists of a category behind it."""
    parts = [part.strip() for part in re.split(r'[\\/]+', line) if part.strip(' .')]
    for first in range(len(parts)):
        name = '/'.join(parts[first:])
        for each in (name, str(PurePosixPath(name).with_suffix('')), name.rsplit(None, 1)[0]):
            if each.lower() in masks:
                return each
    return line.strip()


def _read_voc_image(stem: str, masks: list[dict[str, Path]], names: dict[int, str],
                    colours: dict[int, int], part: Annotations, finder: ImageFinder) -> None:
    files = [each.get(stem.lower()) for each in masks]
    if None in files:
        folder = ('SegmentationClass', 'SegmentationObject')[files.index(None)]
        part.report('unreadable mask', part.file, f'there is no mask of {stem!r} in {folder}; it '
                    'is left out.')
        return
    source = files[1].relative_to(finder.root).as_posix()
    try:
        categories, ids = read_values(files[0], colours), read_values(files[1])
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
        category = int(own[counts.argmax()])
        if category not in names:
            what = f'category {category}' if category >= 0 else f'colour #{-category - 1:06x}'
            part.report('unknown category', source, f'object {value} has the {what}, which has no '
                        'name; left out.')
        else:
            part.add(image, names[category], encode_mask(mask), number=int(value))


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
    except (InstBoxError, OSError) as error:
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
        part.add(number, category, encode_mask(values == value), number=value)
