"""YOLO's segmentation labels: one text file an image, with or without ``data.yaml``."""
import re
from pathlib import Path, PurePosixPath

import numpy as np
import yaml

from ...errors import InstBoxError
from .annotated_images import SPLITS, Annotations, find_split, read_text
from .image_finder import ARCHIVE_FOLDER, ImageFinder
from .masks import read_names
from .segmentations import fill_outlines

NO_LABELS = ('classes', 'labels', 'obj', 'readme', 'labelmap', 'train', 'val', 'valid', 'test')
INSIDE_PIXEL = 0.25  # where the points of our own YOLO files lie
MAX_FRACTION = 2  # of the image's side; what is larger is no fraction


def read_yaml(file: Path) -> dict | None:
    """The content of a YAML file that names categories; None if it does not."""
    try:
        content = yaml.safe_load(read_text(file))
    except yaml.YAMLError:
        return None
    return content if isinstance(content, dict) and 'names' in content else None


def read_yolo(finder: ImageFinder, config: dict | None) -> list[Annotations]:
    """Read all label files below the root.

    Args:
        finder: The images.
        config: Content of ``data.yaml``; without it, splits and names are those of folders and of
            ``classes.txt`` or ``obj.names``.

    Returns:
        list[Annotations]: One for each split; empty if there are no label files.
    """
    root = finder.root
    labels = {file.relative_to(root).as_posix() for file in root.rglob('*')
              if file.suffix.lower() == '.txt' and file.stem.lower() not in NO_LABELS
              and not file.name.startswith('.') and ARCHIVE_FOLDER not in file.parts}
    any_case = {file.lower(): file for file in labels} | {file: file for file in labels}
    names = _names((config or {}).get('names'), root)
    parts: dict[str, Annotations] = {}
    used = set()
    splits = _splits(config or {}, finder)
    for image in finder.files:
        split = find_split(PurePosixPath(image).parent.parts) if splits is None else (
            splits.get(image))
        if split is None:
            continue
        label = next((any_case[name] for each in _label_files(image)
                      for name in (each, each.lower()) if name in any_case), None)
        if label is None and config is None:
            continue
        part = parts.setdefault(split, Annotations('data.yaml' if config else 'labels', split))
        used.add(label)
        _read_image(image, label, part, names, finder)
    for part in parts.values():
        part.categories = [dict(id=number + 1, name=name) for number, name in names.items()]
        known = {each['category_id'] for each in part.annotations}
        if not names:
            part.categories = [dict(id=each, name=f'category {each - 1}') for each in sorted(known)]
    used.discard(None)
    folders = {PurePosixPath(each).parent for each in used}
    for each in sorted(labels - used):
        path = PurePosixPath(each)
        if path.parent in folders and finder.find(path.stem) is None:
            next(iter(parts.values())).report('missing file', each, 'there is no image of this '
                                              'name; the labels are left out.')
    return [*parts.values()] if used else []


def _names(given: object, root: Path) -> dict[int, str]:
    """Names of the categories by number."""
    if isinstance(given, dict):
        return {int(key): str(name) for key, name in given.items() if str(key).isdigit()}
    names = given if isinstance(given, list) else read_names(root)
    return {number: str(name) for number, name in enumerate(names)}


def _splits(config: dict, finder: ImageFinder) -> dict[str, str] | None:
    """The split of each image; None if the config names none."""
    found: dict[str, str] = {}
    entries = [(SPLITS[key], entry) for key, value in config.items() if key in SPLITS
               for entry in (value if isinstance(value, list) else [value]) if entry]
    for split, entry in entries:
        for place in _places(str(entry), config.get('path')):
            path = finder.root / place
            if path.is_dir():
                below = '' if place in ('', '.') else f'{place}/'
                images = [file for file in finder.files if file.startswith(below)]
            elif path.is_file():
                images = [finder.find(line) for line in read_text(path).split('\n') if line.strip()]
            else:
                continue
            for image in images:
                found.setdefault(image, split)
            break
    return found or None


def _places(entry: str, path: object) -> list[str]:
    """Where an entry may lie below the root, whose path may be that of another machine."""
    parts = [part for part in re.split(r'[\\/]+', entry.strip()) if part not in ('', '.', '..')]
    tails = ['/'.join(parts[first:]) for first in range(len(parts))]
    inside = [f'{str(path).strip("./")}/{tails[0]}'] if path and tails else []
    return [*inside, *tails, '']


def _label_files(image: str) -> list[str]:
    """Where the labels of an image may be."""
    path = PurePosixPath(image).with_suffix('.txt')
    places = [path]
    for position in reversed(range(len(path.parts) - 1)):
        if path.parts[position].lower() in ('images', 'imgs', 'jpegimages'):
            places.append(PurePosixPath(*path.parts[:position], 'labels',
                                        *path.parts[position + 1:]))
    places += [PurePosixPath('labels', *path.parts), path.parent / 'labels' / path.name]
    return [each.as_posix() for each in places]


def _read_image(image: str, label: str | None, part: Annotations, names: dict[int, str],
                finder: ImageFinder) -> None:
    """Add an image and the objects of its label file."""
    number = part.add_image(image, label or image)
    if label is None:
        return
    try:
        width, height, _ = finder.info(image)
    except (InstBoxError, OSError):  # reported when the images are checked
        return
    for position, line in enumerate(read_text(finder.root / label).splitlines(), 1):
        words = line.split()
        if not words:
            continue
        try:
            category, values = int(float(words[0])), np.array(words[1:], dtype=np.float64)
        except (ValueError, OverflowError):
            category, values = -1, np.array([np.nan])
        if len(values) == 4:
            part.report('box only', label, f'line {position} has a box and no outline; left out.')
        elif len(values) % 2 or not (np.abs(values) <= MAX_FRACTION).all():
            part.report('broken annotation', label, f'line {position} is not a category and pairs '
                        'of fractions of width and height; left out.')
        elif names and category not in names:
            part.report('unknown category', label, f'line {position} has the category {words[0]}, '
                        f'but there are {len(names)} names; left out.')
        else:
            polygon = (values.reshape(-1, 2) * [width, height]).ravel().tolist()
            code = fill_outlines([polygon], INSIDE_PIXEL, (width, height))
            # 0 is no id for pycocotools
            part.annotations.append(dict(image_id=number, category_id=category + 1,
                                         segmentation=code or [polygon], number=position))
