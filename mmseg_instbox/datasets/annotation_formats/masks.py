"""Objects as masks: the layout of PASCAL VOC, and one mask of instance ids an image."""
import csv
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from ...errors import InstBoxError, InvalidInputError
from ...utils.foreign_errors import convert_errors, reason
from ...utils.image_header import open_image
from ...utils.run_lengths import Crop, decode_crop, encode_crop
from ..instance_maps import VOID, object_boxes
from ..voc_layout import VOC_CLASSES, voc_palette
from .annotated_images import (
    BACKGROUND,
    DEFAULT_CATEGORY,
    SPLITS,
    Annotations,
    find_split,
    list_files,
    read_text,
)
from .images import ImageFinder

MASK_SUFFIXES = ('.png', '.tif', '.tiff', '.bmp', '.gif')
MASK_ENDING = re.compile(r'[_.-]?((cp_)?masks?([_-]?\d+)?|inst(ances?)?(ids)?|labels?|seg|gt)$',
                         re.IGNORECASE)
MASK_START = re.compile(r'^(mask|inst|label|seg|gt)[_.-]?(?=\d)')
IMAGE_NAME = re.compile(r'^(image|img|im)[_.-]?(?=\d)|[_.-](image|img|im|rgb)$')
MASK_FOLDER = re.compile('mask|annot|label|inst|seg|gt', re.IGNORECASE)
NAME_FILES = ('labelmap.txt', 'classes.txt', 'class_names.txt', 'labels.txt', 'obj.names')
ID_DIVISOR = 1000  # of masks whose values are category * 1000 + number, as in Cityscapes
SOFT_VALUES = 16  # from so many values below 255 on,
SOFT_SHARE = 0.5  # of fewer pixels than this share of those of 255, they are soft edges of it
VOC_MASK = re.compile(r'(.*/|)(SegmentationClass|SegmentationObject)/(.+)\.\w+')


def read_name_lines(root: Path) -> list[str]:
    """The lines of a text file in a folder that names categories; empty without such a file."""
    file = next((root / name for name in NAME_FILES if (root / name).is_file()), None)
    lines = read_text(file).splitlines() if file else []
    return [line.strip() for line in lines
            if line.strip() and line[0] != '#' and line.strip() != '__ignore__']


def read_values(path: Path, colours: Mapping[int, int] = {}) -> np.ndarray:
    """The values of a mask, an indexed, grey (1 to 32 bits) or RGB image: (H, W) int64.

    These are indices; of an RGB image that is not grey, without ``colours``, they are colours,
    ``red << 16 | green << 8 | blue``. Raises ValueError if it cannot be read or holds fractions.

    Args:
        path: The image.
        colours: The index that each colour stands for. They count in RGB images, and in indexed
            ones that have no other colours: programs that save an image again may change its
            indices. Another colour becomes ``-colour - 1``.
    """
    with convert_errors(f'{path}: the mask is broken'), open_image(path, str(path)) as image:
        if image.mode == 'F':
            raise InvalidInputError(f'{path}: the mask holds fractions, expected whole numbers.')
        if image.mode in ('RGB', 'RGBA'):
            rgb = np.asarray(image.convert('RGB'), dtype=np.int64)
            codes = rgb @ np.array([1 << 16, 1 << 8, 1])
            found, places = np.unique(codes, return_inverse=True)
            if not colours.keys() >= {*found.tolist()} and (rgb == rgb[..., :1]).all():
                return rgb[..., 0]
            indices = [colours.get(code, -code - 1) for code in found.tolist()]
            return np.array(indices)[places.reshape(codes.shape)] if colours else codes
        several = len(image.getbands()) > 1  # grey or indices, and transparency
        values = np.asarray(image.getchannel(0) if several else image).astype(np.int64)
        palette = image.getpalette() if image.mode == 'P' else []
    codes = [_colour_code(palette[i:i + 3]) for i in range(0, len(palette) - 2, 3)]
    used = np.bincount(values.ravel()).nonzero()[0].tolist() if codes else [0]
    if not all(index < len(codes) and codes[index] in colours for index in used):
        return values
    return np.array([colours.get(code, 0) for code in codes])[values]


def _try_values(path: Path, source: str, image: str, part: Annotations,
                colours: Mapping[int, int] = {}) -> np.ndarray | None:
    """The values of a mask; None, and a problem, if it cannot be read."""
    try:
        return read_values(path, colours)
    except (InstBoxError, OSError) as error:
        part.report('unreadable mask', source, f'{reason(error)}; {image} is left out.')
        return None


def _find_objects(ids: np.ndarray, keep_255: bool = False) -> Iterator[tuple[int, Crop]]:
    """The values of objects, which are neither 0 nor void, and their pixels."""
    void = () if keep_255 else (VOID, _colour_code(voc_palette()[VOID]))
    for value, box in zip(*object_boxes(ids, void=0), strict=True):
        if value not in void:
            left, top, right, bottom = box.astype(int).tolist()
            yield int(value), Crop(ids[top:bottom, left:right] == value, left, top)


def _colour_code(colour: Sequence[int]) -> int:
    return int(colour[0]) << 16 | int(colour[1]) << 8 | int(colour[2])


def read_voc(root: Path, finder: ImageFinder) -> list[Annotations]:
    """Read ``JPEGImages``, ``SegmentationClass``, ``SegmentationObject`` and the lists in
    ``ImageSets/Segmentation``, in a folder or below.

    Names are those of ``labelmap.txt`` (CVAT) or ``class_names.txt``; else VOC's own. Returns a
    part for each split, none if the layout is another.
    """
    bases: dict[str, dict] = {}
    for file in list_files(root, ('.png',)):
        match = VOC_MASK.fullmatch(file)
        if match:
            base, folder, stem = match.groups()
            masks = bases.setdefault(base, dict(SegmentationClass={}, SegmentationObject={}))
            masks[folder][stem.lower()] = file
    found = []
    for base, masks in bases.items():
        if not masks['SegmentationObject']:
            continue
        names, colours = _category_names(root / base)
        for split, stems in _voc_splits(root / base, masks['SegmentationObject']).items():
            if split == 'all':
                split = find_split(PurePosixPath(base).parts)
            part = Annotations(f'{base}SegmentationObject', split, f'{base}JPEGImages')
            for stem in stems:
                _read_voc_image(stem, masks, names, colours, part, root, finder)
            found.append(part)
    return found


def _category_names(base: Path) -> tuple[dict[int, str], dict[int, int]]:
    """Names of the categories by index, and the index, 0 for background, of each colour."""
    lines, palette = read_name_lines(base), voc_palette()
    # three colons end a line of CVAT, and a name may have some, too
    rows = [line.rsplit(':', 3) if line.count(':') > 2 else line.split(':')
            for line in lines or (BACKGROUND[0], *VOC_CLASSES)]
    names, colours = {}, {0: 0, _colour_code(palette[VOID]): VOID}
    for index, row in enumerate(rows, 0 if rows[0][0].lower() in BACKGROUND else 1):
        name, colour = row[0].strip(), re.findall(r'\d+', ''.join(row[1:2]))
        is_background = name.lower() in BACKGROUND
        code = _colour_code([*colour] if len(colour) > 2 else palette[index % 256])
        colours[code] = 0 if is_background else index
        if not is_background:
            names[index] = name
    if not lines:
        names |= {index: f'category {index}' for index in range(len(rows), VOID)}
    return names, colours


def _voc_splits(base: Path, masks: dict[str, str]) -> dict[str, list[str]]:
    """The names of the images of each split."""
    lists = {file.stem.lower(): [_listed_name(line, masks) for line
                                 in read_text(file).splitlines() if line.strip()]
             for file in sorted((base / 'ImageSets' / 'Segmentation').glob('[!.]*'))
             if file.suffix.lower() == '.txt'}
    splits: dict[str, dict[str, None]] = defaultdict(dict)
    for word, split in SPLITS.items():
        splits[split] |= dict.fromkeys(lists.get(word, ()))
    found = {split: [*names] for split, names in splits.items() if names}
    return found or dict(all=sorted({*sum(lists.values(), [])} or masks))


def _listed_name(line: str, masks: dict[str, str]) -> str:
    """The name of an image in a list, which may have a suffix, folders of another machine, or the
    1 or -1 of VOC's lists of a category behind it."""
    parts = [part.strip() for part in re.split(r'[\\/]+', line) if part.strip(' .')]
    for first in range(len(parts)):
        name = '/'.join(parts[first:])
        for each in (name, str(PurePosixPath(name).with_suffix('')), name.rsplit(None, 1)[0]):
            if each.lower() in masks:
                return each
    return line.strip()


def _read_voc_image(stem: str, masks: dict[str, dict[str, str]], names: dict[int, str],
                    colours: dict[int, int], part: Annotations, root: Path,
                    finder: ImageFinder) -> None:
    """Add an image and the objects of its two masks."""
    for folder, files in masks.items():
        if stem.lower() not in files:
            part.report('unreadable mask', part.file, f'there is no mask of {stem!r} in {folder}; '
                        'it is left out.')
            return
    category_file, source = (files[stem.lower()] for files in masks.values())
    categories = _try_values(root / category_file, source, stem, part, colours)
    ids = None if categories is None else _try_values(root / source, source, stem, part)
    if ids is None:
        return
    if categories.shape != ids.shape:
        part.report('broken annotation', source, 'the masks of categories and objects differ in '
                    'size; left out.')
        return
    image = part.add_image(finder.find(stem, part.near) or f'{stem}.jpg', source,
                           height=ids.shape[0], width=ids.shape[1])
    for value, crop in _find_objects(ids):
        own, counts = np.unique(categories[crop.window][crop.pixels], return_counts=True)
        category = int(own[counts.argmax()])
        if category in names:
            part.add(image, names[category], encode_crop(crop, ids.shape), number=value)
        else:
            what = f'category {category}' if category >= 0 else f'colour #{-category - 1:06x}'
            part.report('unknown category', source, f'object {value} has the {what}, which has no '
                        'name; left out.')


def read_masks(root: Path, finder: ImageFinder) -> list[Annotations]:
    """Read images beside masks of instance ids: ``X.png`` and ``X_mask.png``, or two folders.

    Values are instances, 0 background, 255 void where there are others. An image may have several
    masks: ``X_mask_1.png`` and so on, or ``X/masks/*.png`` for the only image in ``X/images``, as
    in the Data Science Bowl of 2018. Categories are those of a CSV file of the root with the
    columns mask, value and category; or those of ``classes.txt``, if it has one name, or if values
    are ``category * 1000 + number``; else there is one category.
    Returns a part for each split, none if there are no such masks; raises ValueError if there are
    only masks of categories, those of VOC or of Roboflow.
    """
    parts: dict[str, Annotations] = {}
    names = [line.split(':')[0].strip() for line in read_name_lines(root)]
    names = [name for name in names if name.lower() not in BACKGROUND]
    rows = [row for file in sorted(root.glob('[!.]*.csv'))
            for row in csv.reader(read_text(file).splitlines())]
    table = {(PurePosixPath(row[0].strip().replace('\\', '/')).stem.lower(), int(row[1])):
             row[2].strip() for row in rows if len(row) == 3 and row[1].strip().isdigit()}
    pairs, images = _pair_masks(root, finder)
    semantic = [file for file in pairs if _has_categories(root / file)]
    numbers: dict[tuple[str, PurePosixPath], int] = {}
    for file in semantic:
        del pairs[file]
    for file, image in pairs.items():
        split = find_split(PurePosixPath(image).parent.parts)
        part = parts.setdefault(split, Annotations('masks', split))
        values = _try_values(root / file, file, image, part)
        if values is None:
            continue
        key = image, PurePosixPath(file).parent  # masks in another folder are reported
        if key not in numbers:
            numbers[key] = part.add_image(image, file, height=values.shape[0],
                                          width=values.shape[1])
        _add_mask(file, image, numbers[key], values, names, table, part)
    if semantic and not parts:
        raise InvalidInputError(
            f'{root / semantic[0]}: the mask holds the category of each pixel, not the object. '
            'Export instances, for example as COCO or with SegmentationObject.')
    for part in parts.values():
        _report_single_values(part)
    for image in sorted({*images} - {*pairs.values()}) if parts else ():
        next(iter(parts.values())).report('not annotated', image, 'there is no mask of this image; '
                                          'left out.')
    return [*parts.values()]


def _pair_masks(root: Path, finder: ImageFinder) -> tuple[dict[str, str], list[str]]:
    """The image of each mask that has one, and all images."""
    apart = finder.root != root  # then the name of the folder of the masks counts, too
    folders = [os.path.dirname(file) for file in finder.files]
    # folders that all files have in common do not tell masks from images
    common = 0 if apart or not folders else len(os.path.commonpath(folders))
    masks = dict.fromkeys(file for file in list_files(root, MASK_SUFFIXES)
                          if _is_mask(f'{root.name}/{file}' if apart else file[common:]))
    images = [file for file in finder.files if apart or file not in masks]
    named, inside = defaultdict(list), defaultdict(list)
    for file in images:
        path = PurePosixPath(file)
        stem = path.stem.lower()
        for name in {stem, IMAGE_NAME.sub('', stem)}:
            named[name].append(file)
        for folder in {path.parent, path.parent.parent}:
            inside[folder].append(file)
    pairs = {}
    for file in masks:
        path = PurePosixPath(file)
        stem = path.stem.lower()
        found = next((named[name] for name in (
            MASK_ENDING.sub('', stem), stem, MASK_START.sub('', stem)) if name in named), ())
        if not found and MASK_FOLDER.search(path.parent.name):
            found = inside[path.parent.parent]
            found = found if len(found) == 1 else ()
        if found:
            pairs[file] = max(found, key=lambda each: _likeness(each, file))
    return pairs, images


def _report_single_values(part: Annotations) -> None:
    """Report masks that all have one value, but separate regions, which may be objects."""
    if max(Counter(row['image_id'] for row in part.annotations).values(), default=2) > 1:
        return
    regions = [cv2.connectedComponents(decode_crop(row['segmentation']).pixels.astype(np.uint8))[0]
               - 1 for row in part.annotations]
    if max(regions) > 1:
        part.report('single values', part.file, 'each mask has one value, so each image has one '
                    f'object, of up to {max(regions)} separate regions. If these are objects, give '
                    'each a value of its own, as scipy.ndimage.label does.')


def _has_categories(file: Path) -> bool:
    """Whether a mask is one of categories, as VOC or Roboflow have them."""
    return (file.parent.name.startswith('SegmentationClass')
            or file.with_name('_classes.csv').is_file())


def _is_mask(file: str) -> bool:
    path = PurePosixPath(file)
    return bool(MASK_ENDING.search(path.stem)
                or any(MASK_FOLDER.search(each) for each in path.parts[:-1]))


def _likeness(one: str, other: str) -> int:
    """How many names of folders two files share, less those that one of them alone has."""
    ones, others = ({*file.split('/')[:-1]} for file in (one, other))
    return len(ones & others) - len(ones ^ others)


def _add_mask(file: str, image: str, number: int, values: np.ndarray, names: list[str],
              table: dict[tuple[str, int], str], part: Annotations) -> None:
    """Add the objects of a mask to the image ``image``, which has a ``number``."""
    if values.max(initial=0) == VOID:
        counts = np.bincount(values.ravel())
        if (np.count_nonzero(counts[1:VOID]) >= SOFT_VALUES
                and counts[1:VOID].sum() < SOFT_SHARE * counts[VOID]):
            values = np.where(values > VOID // 2, VOID, 0)
            part.report('soft edges', file, 'the mask has soft edges, as after resizing; values '
                        f'from {VOID // 2 + 1} on are taken to be the object.')
    found = [*_find_objects(values, keep_255=values.max(initial=0) > VOID)]
    stems = [PurePosixPath(each).stem.lower() for each in (file, image)]
    for value, crop in found or _find_objects(values, keep_255=True):
        category = next((table[stem, value] for stem in stems if (stem, value) in table), None)
        if category is None and len(names) > 1 and value >= ID_DIVISOR:
            category = dict(enumerate(names, 1)).get(value // ID_DIVISOR)
        elif category is None and not table:
            category = names[0] if len(names) == 1 else DEFAULT_CATEGORY
        if category is None:
            part.report('unknown category', file, f'the instance {value} has no category; left '
                        'out.')
        else:
            part.add(number, category, encode_crop(crop, values.shape), number=value)
