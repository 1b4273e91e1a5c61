"""The layout of PASCAL VOC: masks of categories and of objects, and lists of images."""
import re
from collections import defaultdict
from pathlib import Path, PurePosixPath

import numpy as np

from ...utils.run_lengths import encode_crop
from ..instance_maps import VOID
from ..voc_layout import VOC_CLASSES, voc_palette
from .annotated_images import BACKGROUND, SPLITS, Annotations, find_split, list_files, read_text
from .images import ImageFinder
from .mask_values import colour_code, find_objects, read_name_lines, try_values

MASKS = re.compile(r'(.*/|)(SegmentationClass|SegmentationObject)(?:PNG)?/(.+)\.\w+')


def read_voc(root: Path, finder: ImageFinder) -> list[Annotations]:
    """Read ``JPEGImages``, ``SegmentationClass``, ``SegmentationObject`` and the lists in
    ``ImageSets/Segmentation``, in a folder or below.

    Names are those of ``labelmap.txt`` (CVAT) or ``class_names.txt``; else VOC's own. Returns a
    part for each split, none if the layout is another.
    """
    bases: dict[str, dict] = {}
    for file in list_files(root, ('.png',)):
        match = MASKS.fullmatch(file)
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
    names, colours = {}, {0: 0, colour_code(palette[VOID]): VOID}
    for index, row in enumerate(rows, 0 if rows[0][0].lower() in BACKGROUND else 1):
        name, colour = row[0].strip(), re.findall(r'\d+', ''.join(row[1:2]))
        is_background = name.lower() in BACKGROUND
        code = colour_code([*colour] if len(colour) > 2 else palette[index % 256])
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
    categories = try_values(root / category_file, source, stem, part, colours)
    ids = None if categories is None else try_values(root / source, source, stem, part)
    if ids is None:
        return
    if categories.shape != ids.shape:
        part.report('broken annotation', source, 'the masks of categories and objects differ in '
                    'size; left out.')
        return
    image = part.add_image(finder.find(stem, part.near) or f'{stem}.jpg', source,
                           height=ids.shape[0], width=ids.shape[1])
    for value, crop in find_objects(ids):
        own, counts = np.unique(categories[crop.window][crop.pixels], return_counts=True)
        category = int(own[counts.argmax()])
        if category in names:
            part.add(image, names[category], encode_crop(crop, ids.shape), number=value)
        else:
            what = f'category {category}' if category >= 0 else f'colour #{-category - 1:06x}'
            part.report('unknown category', source, f'object {value} has the {what}, which has no '
                        'name; left out.')
