"""One or more masks of instance ids an image, in files beside it."""
import csv
import math
import os
import re
from collections import Counter, defaultdict
from contextlib import suppress
from itertools import product
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from ...errors import InvalidInputError
from ...utils.limits import limit
from ...utils.run_lengths import decode_crop, encode_crop
from ..instance_maps import VOID, object_boxes
from .annotated_images import (
    BACKGROUND,
    DEFAULT_CATEGORY,
    Annotations,
    find_split,
    list_files,
    read_text,
)
from .images import ImageFinder
from .mask_values import find_objects, read_name_lines, try_values

MASK_SUFFIXES = ('.png', '.tif', '.tiff', '.bmp', '.gif')
MASK_ENDING = re.compile(r'([_.-]?((cp_)?masks?([_-]?\d+)?|inst(ances?)?(ids)?|labels?|gt|'
                         r'seg(mentation)?|annotation|(ground_?)?truth)|'
                         r'[_.-](inst(ance)?|label|seg|gt)[_-]?\d+)$', re.IGNORECASE)
MASK_START = re.compile(r'^(mask|inst|label|seg|gt)[_.-]?(?=\d)')
IMAGE_NAME = re.compile(r'^(image|img|im)[_.-]?(?=\d)|[_.-](image|img|im|rgb|colou?r)$')
NUMBER = re.compile(r'[_-]\d+$')
MASK_FOLDER = re.compile('mask|annot|label|inst|seg|gt|truth', re.IGNORECASE)
TABLE = ['mask', 'value', 'category']  # the columns of a table of categories
MAX_LOOKED_AT = 1000  # objects whose separate regions are counted
MAX_INDEX = 1 << 16  # values from it on are colours
ID_DIVISOR = 1000  # of masks whose values are category * 1000 + number, as in Cityscapes
SOFT_VALUES = 16  # from so many values below 255 on,
SOFT_SHARE = 0.5  # of fewer pixels than this share of those of 255, they are soft edges of it
# images of one name with the folders that they lie in, the least deep first; by their split and one
# of the folders, or by None for any
_ByFolder = dict[tuple[str | None, str | None], list[tuple[str, list[str]]]]


def read_masks(root: Path, finder: ImageFinder) -> list[Annotations]:
    """Read images beside masks of instance ids: ``X.png`` and ``X_mask.png``, or two folders.

    Values are instances, 0 background, 255 void where there are others. An image may have several
    masks: ``X_mask_1.png`` and so on, ``masks/X/*.png``, or, for the only image in ``X/images`` or
    ``X``, ``X/masks/*.png`` (the Data Science Bowl of 2018) or ``X/mask.png``. Categories are those
    of a CSV file of the root with the columns mask, value and category; or those of
    ``classes.txt``, if it has one name, or if values are ``category * 1000 + number``; else there
    is one category.
    Returns a part for each split, none if there are no such masks; raises ValueError if there are
    only masks of categories, those of VOC or of Roboflow.
    """
    parts: dict[str, Annotations] = {}
    names = [line.split(':')[0].strip() for line in read_name_lines(root)]
    names = [name for name in names if name.lower() not in BACKGROUND]
    table = _read_table(root)
    pairs, images = _pair_masks(root, finder)
    semantic = [file for file in pairs if _has_categories(root / file)]
    by_image: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for file in pairs.keys() - {*semantic}:
        by_image[pairs[file]][os.path.dirname(file)].append(file)
    for image, folders in sorted(by_image.items()):
        split = find_split(PurePosixPath(image).parent.parts)
        part = parts.setdefault(split, Annotations('masks', split))
        number = None
        for file in _choose_masks(root, image, folders, part):
            values = try_values(root / file, file, image, part)
            if values is None:
                continue
            number = number or part.add_image(image, file, height=values.shape[0],
                                              width=values.shape[1])
            _add_mask(file, image, number, values, names, table, part)
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


def _read_table(root: Path) -> dict[tuple[str, int], str]:
    """The category by the stem of a mask and a value in it, of all CSV files of such a table."""
    table = {}
    for file in sorted(root.glob('[!.]*.csv')):
        with suppress(csv.Error):  # run lengths of another format are longer than a field may be
            rows = [[cell.strip() for cell in row]
                    for row in csv.reader(read_text(file).splitlines())]
            if rows and [cell.lower() for cell in rows[0]] == TABLE:
                table |= {(PurePosixPath(row[0].replace('\\', '/')).stem.lower(), int(row[1])):
                          row[2] for row in rows if len(row) == 3 and row[1].isdecimal()}
    return table


def _choose_masks(root: Path, image: str, folders: dict[str, list[str]],
                  part: Annotations) -> list[str]:
    """The masks of an image: of folders that show the same pixels, as labels and a drawing of them
    do, only those of the folder that tells the most objects apart."""
    shown = []
    for folder, files in sorted(folders.items() if len(folders) > 1 else ()):
        indexed, count, own = True, 0, np.array([], np.int64)
        for file in files:
            values = try_values(root / file, file, image, Annotations(''))
            if values is not None:
                indexed &= bool(values.max(initial=0) < MAX_INDEX)
                count += len(object_boxes(values, void=0)[0])
                own = np.union1d(own, np.flatnonzero(values))
        shown.append((indexed, count, folder, own))
    taken, chosen = np.array([], np.int64), []
    for _, _, folder, own in sorted(shown, key=lambda each: each[:2], reverse=True):
        if 2 * np.isin(own, taken).sum() <= min(len(own), len(taken)):
            chosen.append(folder)
            taken = np.union1d(taken, own)
        else:
            part.report('duplicate file', image, f'it has masks in {folder}, too, of the same '
                        f'pixels as in {", ".join(chosen)}; left out.', image)
    return sorted(file for folder in chosen or folders for file in folders[folder])


def _pair_masks(root: Path, finder: ImageFinder) -> tuple[dict[str, str], list[str]]:
    """The image of each mask that has one, and all images."""
    apart = finder.root != root  # then the name of the folder of the masks counts, too
    folders = [os.path.dirname(file) for file in finder.files]
    # folders that all files have in common do not tell masks from images
    common = 0 if apart or not folders else len(os.path.commonpath(folders))
    masks = dict.fromkeys(file for file in list_files(root, MASK_SUFFIXES)
                          if _is_mask(f'{root.name}/{file}' if apart else file[common:]))
    images = [file for file in finder.files if apart or file not in masks]
    named: dict[str, _ByFolder] = defaultdict(lambda: defaultdict(list))
    inside: dict[PurePosixPath, list[str]] = defaultdict(list)
    for file in sorted(images, key=lambda image: image.count('/')):
        path, folders = PurePosixPath(file), file.lower().split('/')[:-1]
        stem = path.stem.lower()
        for name in {stem, IMAGE_NAME.sub('', stem)}:
            for key in product((find_split(folders), None), {*folders, None}):
                named[name][key].append((file, folders))
        for folder in {path.parent, path.parent.parent}:
            inside[folder].append(file)
    pairs = {}
    for file in masks:
        path = PurePosixPath(file)
        stem, folder = path.stem.lower(), path.parent.name.lower()
        found = next((named[name] for name in (
            MASK_ENDING.sub('', stem), stem, MASK_START.sub('', stem), NUMBER.sub('', stem))
            if name in named), {})
        if folder in named and (None, folder) not in found:  # a folder for each image
            pairs[file] = _closest(named[folder], file)
        elif MASK_FOLDER.search(folder) and len(inside[path.parent.parent]) == 1:
            pairs[file], = inside[path.parent.parent]
        elif found:
            pairs[file] = _closest(found, file)
        elif not MASK_ENDING.sub('', stem) and len(inside[path.parent]) == 1:  # X/mask.png
            pairs[file], = inside[path.parent]
    return pairs, images


def _closest(images: _ByFolder, mask: str) -> str:
    """The image that shares the most names of folders with a mask, less those that one of the two
    alone has; one of the same split, if there is any.

    Few images are looked at: those in the folders with the fewest of them come first, and the
    search ends where too few names are left for a better one.
    """
    *folders, _ = mask.lower().split('/')
    split, own = find_split(folders), {*folders}
    if (split, None) not in images:
        split = None
    lists = sorted((images[split, each] for each in own if (split, each) in images), key=len)
    lists.append(images[split, None])
    best, highest = '', -math.inf
    for shared, files in zip(reversed(range(len(lists))), lists, strict=True):
        for file, others in files:
            if 3 * shared - len(others) <= highest:  # and no later one is less deep
                break
            # shared - (own - shared) - (others - shared), but for the same own
            likeness = 3 * len(own.intersection(others)) - len(others)
            if likeness > highest:
                best, highest = file, likeness
    return best


def _report_single_values(part: Annotations) -> None:
    """Report values of separate regions, which may be objects: of masks that all have one value, or
    more than half of the values."""
    rows = part.annotations[::max(1, len(part.annotations) // MAX_LOOKED_AT)]
    regions = [cv2.connectedComponents(decode_crop(row['segmentation']).pixels.astype(np.uint8))[0]
               - 1 for row in rows]
    counts = Counter(row['image_id'] for row in part.annotations)
    if max(counts.values(), default=2) == 1 < max(regions):
        part.report('single values', part.file, 'each mask has one value, so each image has one '
                    f'object, of up to {max(regions)} separate regions. If these are objects, give '
                    'each a value of its own, as scipy.ndimage.label does.')
    elif regions and np.median(regions) >= 2:
        part.report('several regions', part.file, 'most values of the masks have several separate '
                    f'regions (median {np.median(regions):.0f}). If the values are categories, '
                    'export each object with a value of its own.')


def _has_categories(file: Path) -> bool:
    """Whether a mask is one of categories, as VOC or Roboflow have them."""
    return (file.parent.name.startswith('SegmentationClass')
            or file.with_name('_classes.csv').is_file())


def _is_mask(file: str) -> bool:
    path = PurePosixPath(file)
    return bool(MASK_ENDING.search(path.stem)
                or any(MASK_FOLDER.search(each) for each in path.parts[:-1]))


def _add_mask(file: str, image: str, number: int, values: np.ndarray, names: list[str],
              table: dict[tuple[str, int], str], part: Annotations) -> None:
    """Add the objects of a mask to the image ``image``, which has a ``number``."""
    largest = limit('objects')
    if values.max(initial=0) > largest and (count := len(np.unique(values))) > largest:
        part.report('too many objects', file, f'the mask has {count:,} values, as photographs and '
                    f'drawings on them have; the limit is {largest:,} (INSTBOX_MAX_OBJECTS). Left '
                    'out.')
        return
    if values.max(initial=0) == VOID:
        counts = np.bincount(values.ravel())
        if (np.count_nonzero(counts[1:VOID]) >= SOFT_VALUES
                and counts[1:VOID].sum() < SOFT_SHARE * counts[VOID]):
            values = np.where(values > VOID // 2, VOID, 0)
            part.report('soft edges', file, 'the mask has soft edges, as after resizing; values '
                        f'from {VOID // 2 + 1} on are taken to be the object.')
    found = [*find_objects(values, keep_255=values.max(initial=0) > VOID)]
    stems = [PurePosixPath(each).stem.lower() for each in (file, image)]
    for value, crop in found or find_objects(values, keep_255=True):
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
