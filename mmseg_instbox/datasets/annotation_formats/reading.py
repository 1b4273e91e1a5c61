"""Recognise the format of annotated images and read them."""
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath

from ...errors import InvalidInputError, MissingFileError
from .annotated_images import (
    AnnotatedImages,
    Annotations,
    Problem,
    find_split,
    list_files,
    parse_json,
    read_text,
)
from .cleaning import clean
from .images import ImageFinder
from .labelme import is_labelme, read_labelme
from .masks import read_masks
from .via import read_via, via_images
from .voc import read_voc
from .yolo import YAML_SUFFIXES, read_yaml, read_yolo

ARCHIVES = ('.zip', '.tar', '.gz', '.tgz', '.7z', '.rar')
ANNOTATION_FOLDERS = ('annotations', 'labels', 'jsons', 'json')


@contextmanager
def _no_collection() -> Iterator[None]:
    """Pauses garbage collection, which searches millions of new objects again and again.

    At the end, they are moved to the oldest generation, or all would be searched at once.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            if not gc.get_freeze_count():  # else objects that others froze would move, too
                gc.freeze()
                gc.unfreeze()
            gc.enable()


@_no_collection()
def read_annotations(path: str | Path, images: str | Path | None = None,
                     need_images: bool = True) -> dict[str, AnnotatedImages]:
    """Read annotated images in any format and leave out what cannot be used.

    Args:
        path: A folder, whose format is recognised by looking at it, or an annotation file:

            - COCO: JSON files of instances (Roboflow, CVAT, Label Studio, labelme2coco);
            - LabelMe: JSON files beside the images;
            - VIA: JSON of version 1 or 2;
            - YOLO: ``data.yaml``, or text files for images;
            - VOC: ``JPEGImages``, ``SegmentationClass`` and ``SegmentationObject``;
            - masks of instance ids beside the images.
        images: The folder of the images, if they do not lie below ``path`` or beside the file.
        need_images: Whether an image without its file is left out although its size is known.

    Returns:
        dict[str, AnnotatedImages]: By split: 'train', 'val' and 'test' as far as the names of
        folders, files and lists tell, else 'all'. All have the same categories, with the same ids.

    Raises:
        FileNotFoundError: There is nothing at ``path``.
        ValueError: No annotations are found, or the file is broken.
    """
    path = Path(path)
    if not path.exists():
        raise MissingFileError(f'{path}: no such file or folder.')
    if path.is_file() and path.suffix.lower() in ARCHIVES:
        raise InvalidInputError(f'{path} is an archive: unpack it, and give the folder.')
    config = _find_config(path)
    root = _find_root(path, config)
    finder = ImageFinder(Path(images) if images else root)
    splits: dict[str, list[Annotations]] = {}
    for part in _read_parts(path, root, config, finder):
        splits.setdefault(part.split, []).append(part)
    if not splits:
        raise InvalidInputError(
            f'{path}: no annotations of a known format are found here. Give a folder with images '
            'and COCO JSON, LabelMe or VIA JSON, YOLO labels (data.yaml), the layout of VOC, or '
            'masks of instance ids (PNG, TIFF); or an annotation file. Tools with another format '
            '(XML, CSV, a JSON of their own) mostly export COCO, too. Of the results of `instbox '
            'predict`, give the folder of one format.')
    order = [split for split in ('train', 'val', 'test', 'all') if split in splits]
    return clean([_merge(splits.pop(split)) for split in order], finder, need_images)


def _find_config(path: Path) -> dict | None:
    """The content of the first YAML file, given or in a folder, that names categories."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    contents = (read_yaml(file) for file in files if file.suffix.lower() in YAML_SUFFIXES)
    return next(filter(None, contents), None)


def _find_root(path: Path, config: dict | None) -> Path:
    """The folder that holds annotations and images."""
    if path.is_dir():
        return path
    if config is not None:
        inside = path.parent / str(config.get('path', ''))
        return inside if inside.is_dir() else path.parent
    return path.parent.parent if path.parent.name.lower() in ANNOTATION_FOLDERS else path.parent


def _read_parts(path: Path, root: Path, config: dict | None,
                finder: ImageFinder) -> list[Annotations]:
    if path.is_file():
        return _read_json_files([path], root, finder) if config is None else (
            read_yolo(root, finder, config))
    files = [path / file for file in list_files(path, ('.json',))]
    readers = [partial(_read_json_files, files, root, finder), partial(read_voc, root, finder),
               partial(read_masks, root, finder)]
    readers.insert(2 if config is None else 0, partial(read_yolo, root, finder, config))
    found, faults = [], []
    for read in readers:
        try:
            parts = read()
        except InvalidInputError as error:
            faults.append(error)
            continue
        if any(isinstance(row, dict) and row.get('segmentation') for part in parts
               for row in part.annotations):
            found = parts
            break
        found = found or parts  # images with boxes alone may have objects in another format
    if faults and not found:
        raise faults[0]
    for fault in faults:
        found[0].report('broken annotation', '', str(fault))
    return found


def _read_json_files(files: list[Path], root: Path, finder: ImageFinder) -> list[Annotations]:
    """All COCO files; without any all of VIA; without any all of LabelMe."""
    coco, via, labelme, problems, broken = [], [], {}, [], []
    for file in files:
        name = file.relative_to(root).as_posix()
        with file.open('rb') as stream:
            if stream.read(3) == b'\xef\xbb\xbf':  # which many programs do not read
                problems.append(Problem('encoding', name, 'the file begins with a BOM, which is '
                                        'passed over.'))
        try:
            content = parse_json(read_text(file), file)
        except InvalidInputError as error:
            broken.append(error)
            problems.append(Problem('broken annotation', name, f'{error} Left out.'))
            continue
        if is_coco(content):
            coco.append(read_coco(content, file, root))
        elif via_images(content):
            via.append(read_via(via_images(content), file, root))
        elif is_labelme(content):
            content.pop('imageData', None)
            split = find_split(PurePosixPath(name).parts[:-1])
            part = labelme.setdefault(split, Annotations('LabelMe files', split))
            read_labelme(content, name, part, finder)
    named = [part for part in coco if 'instances' in PurePosixPath(part.file).name]
    found = named or coco or via or [*labelme.values()]
    if labelme and not (coco or via):
        _report_without_json(labelme, finder)
    if found:
        found[0].problems += problems
    elif broken and files[0].suffix.lower() == '.json':
        raise broken[0]
    return found


def is_coco(content: object) -> bool:
    """Whether the content of a JSON file has COCO's tables of instances."""
    return (isinstance(content, dict) and isinstance(content.get('annotations'), list | dict)
            and all(isinstance(content.get(name), list) for name in ('images', 'categories'))
            and not any('segments_info' in row for row in content['annotations']  # panoptic
                        if isinstance(row, dict)))


def read_coco(content: dict, file: Path, root: Path) -> Annotations:
    """The tables of a COCO file, also as Roboflow, CVAT, Label Studio and labelme2coco write it.

    The split is what the names of the file and its folders below ``root`` say. Annotations may be
    the values of a dictionary, as in files of LIVECell.
    """
    rows = content['annotations']
    name = file.relative_to(root) if file.is_relative_to(root) else Path(file.name)
    return Annotations(name.as_posix(), find_split(name.with_suffix('').parts),
                       name.parent.as_posix(), content['images'],
                       [*rows.values()] if isinstance(rows, dict) else rows, content['categories'],
                       [row for row in content.get('videos') or () if isinstance(row, dict)])


def _report_without_json(parts: dict[str, Annotations], finder: ImageFinder) -> None:
    """Report images in a folder with LabelMe files that have none of their own."""
    known = {finder.find(image['file_name'], image['source'], image['near'])
             for part in parts.values() for image in part.images} - {None}
    folders = {PurePosixPath(file).parent for file in known}
    for file in finder.files:
        if file not in known and PurePosixPath(file).parent in folders:
            next(iter(parts.values())).report('not annotated', file, 'there is no JSON of this '
                                              'image; left out.')


def _merge(parts: list[Annotations]) -> Annotations:
    """One part out of those of a split, with ids that tell them apart."""
    if len(parts) == 1:
        return parts[0]
    merged = Annotations(', '.join(part.file for part in parts)[:200], parts[0].split)
    for place, part in enumerate(parts):
        videos = {str(row.get('id')): number for number, row in enumerate(
            part.videos, len(merged.videos) + 1)}
        merged.videos += [row | dict(id=videos[str(row.get('id'))]) for row in part.videos]
        for row in _tell_apart(part.images, place, 'id'):
            if isinstance(row, dict):
                row = dict(source=part.file) | row | dict(near=part.near)
                if 'video_id' in row:
                    row['video_id'] = videos.get(str(row['video_id']))
            merged.images.append(row)
        merged.categories += _tell_apart(part.categories, place, 'id')
        for row in _tell_apart(part.annotations, place, 'image_id', 'category_id'):
            if isinstance(row, dict):
                row.pop('id', None)
            merged.annotations.append(row)
        merged.problems += part.problems
    return merged


def _tell_apart(rows: list, place: int, *keys: str) -> list:
    """Rows whose ids are preceded by the number of their file."""
    return [row | {key: (place, str(row[key])) for key in keys if row.get(key) is not None}
            if isinstance(row, dict) else row for row in rows]
