"""YOLO's segmentation labels: one text file an image, with or without ``data.yaml``."""
import re
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path, PurePosixPath

import numpy as np
import yaml

from ...errors import InstBoxError, InvalidInputError
from ..coco_masks import fill_outlines
from .annotated_images import SPLITS, Annotations, find_split, list_files, read_text
from .images import UPLOAD_PREFIX, ImageFinder
from .mask_values import read_name_lines

YAML_SUFFIXES = ('.yaml', '.yml')
NO_LABELS = ('classes', 'labels', 'obj', 'readme', 'labelmap', 'train', 'val', 'valid', 'test')
IMAGE_FOLDERS = ('images', 'imgs', 'jpegimages')
INSIDE_PIXEL = 0.25  # where the points of our own YOLO files lie
MAX_FRACTION = 2  # of the image's side; what is larger is no fraction


def read_yaml(file: Path) -> dict | None:
    """The content of a YAML file that names categories, all values as text; None if it does not."""
    text = read_text(file)
    for each in (text, text.replace('\\', '/')):  # YAML has no "C:\Users" in quotes
        with suppress(yaml.YAMLError, RecursionError):
            content = yaml.load(each, yaml.BaseLoader)  # others read `no` as False
            return content if isinstance(content, dict) and 'names' in content else None
    return None


def read_yolo(root: Path, finder: ImageFinder, config: dict | None) -> list[Annotations]:
    """Read all label files below a folder: a part for each split, none without label files.

    Splits and names are those of ``config``, the content of ``data.yaml``; without it splits are
    those of folders, and names those of ``classes.txt`` or ``obj.names``, which may lie beside the
    labels, or of a YAML file below.
    """
    files = [file for file in list_files(root, ('.txt',))
             if PurePosixPath(file).stem.lower() not in NO_LABELS]
    folders = dict.fromkeys([root, *((root / file).parent for file in files)])
    names = _read_names((config or {}).get('names'), folders)
    if not names:
        found = (read_yaml(root / file) for file in list_files(root, YAML_SUFFIXES))
        names = _read_names(next(filter(None, found), {}).get('names'), folders)
    labels = _find_labels(files, finder, finder.root != root)
    splits = _find_splits(config or {}, root, finder)
    parts: dict[str, Annotations] = {}
    used, unlisted = set(), []
    for image in finder.files:
        label = labels.get(image)
        folder = PurePosixPath(label if label and finder.root != root else image).parent
        split = find_split(folder.parts) if splits is None else splits.get(image)
        if split is None or label is None and config is None:
            unlisted += [label] if label else []
            continue
        part = parts.setdefault(split, Annotations('data.yaml' if config else 'labels', split))
        number = part.add_image(image, label or image)
        if label is not None:
            used.add(label)
            _read_labels(root, label, image, number, part, names, finder)
    if unlisted and parts:
        next(iter(parts.values())).report(
            'in no part', unlisted[0], f'{len(unlisted)} images with labels are in no folder or '
            'list of the YAML file; left out.')
    for part in parts.values():
        known = names or {each: f'category {each}' for each in sorted(
            {each['category_id'] - 1 for each in part.annotations})}
        part.categories = [dict(id=number + 1, name=name) for number, name in known.items()]
    folders = {PurePosixPath(each).parent for each in used}
    for each in sorted({*files} - used):
        path = PurePosixPath(each)
        if path.parent in folders and finder.find(path.stem) is None:
            next(iter(parts.values())).report('missing file', each, 'there is no image of this '
                                              'name; the labels are left out.')
    if config is not None and not used:
        raise InvalidInputError(
            f'{root}: the YAML file describes YOLO data, but none of {len(files)} label files '
            f'belongs to one of {len(finder.files)} images. Put images and labels in folders '
            '`images` and `labels`, or name the folder of the images with --images.')
    return [*parts.values()] if used else []


def _read_names(given: object, folders: Iterable[Path]) -> dict[int, str]:
    """Names of the categories by number: those given, else those in a file of a folder."""
    if isinstance(given, dict):
        return {int(key): str(name) for key, name in given.items() if key.isdecimal()}
    names = given if isinstance(given, list) else [
        line.split(':')[0].strip()
        for line in next(filter(None, map(read_name_lines, folders)), ())]
    return {number: str(name) for number, name in enumerate(names)}


def _find_splits(config: dict, root: Path, finder: ImageFinder) -> dict[str, str] | None:
    """The split of each image; None if the config names none. An image of several is trained on."""
    found: dict[str, str] = {}
    for key in SPLITS:  # not in the order of the config, which many programs sort
        value = config.get(key)
        for entry in value if isinstance(value, list) else [value]:
            if not entry:
                continue
            for place in _places(str(entry), config.get('path'), root):
                path = root / place
                if path.is_dir() and (place or finder.root == root):
                    below = f'{place}/' if place else ''
                    images = [file for file in finder.files if file.startswith(below)]
                elif path.is_file():
                    images = [finder.find(line) for line in read_text(path).splitlines()
                              if line.strip()]
                else:
                    continue
                found = dict.fromkeys(images, SPLITS[key]) | found
                break
    return found or None


def _places(entry: str, path: object, root: Path) -> list[str]:
    """Where an entry may lie below the root, whose path may be that of another machine.

    The root itself, '', is one if the entry is empty or ends with its name: other folders that are
    not there hold no images.
    """
    parts = [part for part in re.split(r'[\\/]+', f'{path or ""}/{entry.strip()}')
             if part not in ('', '.', '..')]
    is_root = not parts or parts[-1] == root.resolve().name
    return ['/'.join(parts[first:]) for first in range(len(parts) + is_root)]


def _find_labels(files: list[str], finder: ImageFinder, apart: bool) -> dict[str, str]:
    """The label file of each image that has one.

    If images and labels lie ``apart``, their folders may differ: a label without image is that of
    the image of its name, if no other label file has the name.
    """
    known = {str(path.with_name(UPLOAD_PREFIX.sub('', path.name))): file for file in files
             for path in [PurePosixPath(file.lower())]}
    known |= {file.lower(): file for file in files} | {file: file for file in files}
    labels = {image: known[name] for image in finder.files for each in reversed(
        _label_places(image)) for name in (each.lower(), each) if name in known}
    if apart:
        stems = Counter(PurePosixPath(file).stem.lower() for file in files)
        for file in sorted({*files} - {*labels.values()}):
            image = finder.find(str(PurePosixPath(file).with_suffix('')))
            if image and stems[PurePosixPath(file).stem.lower()] == 1:
                labels.setdefault(image, file)
    return labels


def _label_places(image: str) -> list[str]:
    """Where the labels of an image may be."""
    path = PurePosixPath(image).with_suffix('.txt')
    instead = [PurePosixPath(*path.parts[:position], 'labels', *path.parts[position + 1:])
               for position in reversed(range(len(path.parts) - 1))
               if path.parts[position].lower() in IMAGE_FOLDERS]
    beside = [PurePosixPath('labels', *path.parts), path.parent / 'labels' / path.name]
    return [each.as_posix() for each in (path, *instead, *beside)]


def _read_labels(root: Path, label: str, image: str, number: int, part: Annotations,
                 names: dict[int, str], finder: ImageFinder) -> None:
    """Add the objects of the label file of an image."""
    try:
        width, height, *_ = finder.info(image)
    except (InstBoxError, OSError):  # reported when the images are checked
        return
    for position, line in enumerate(read_text(root / label).splitlines(), 1):
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
        elif category < 0 or names and category not in names:
            part.report('unknown category', label, f'line {position} has the category {words[0]}, '
                        f'but there are {len(names)} names; left out.')
        else:
            polygon = (values.reshape(-1, 2) * [width, height]).ravel().tolist()
            code = fill_outlines([polygon], INSIDE_PIXEL, (width, height))
            part.annotations.append(dict(image_id=number, category_id=category + 1,
                                         segmentation=code or [polygon], number=position))
