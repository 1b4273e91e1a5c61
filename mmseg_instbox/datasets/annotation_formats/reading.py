"""Recognise the format of annotated images and read them."""
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...errors import InvalidInputError, MissingFileError
from .annotated_images import AnnotatedImages, Annotations, Problem, find_split, read_json
from .categories import unify_categories
from .cleaning import clean
from .coco import is_coco, read_coco
from .image_finder import ARCHIVE_FOLDER, ImageFinder
from .labelme import is_labelme, read_labelme
from .masks import read_masks, read_voc
from .via import read_via, via_images
from .yolo import read_yaml, read_yolo

YAML_SUFFIXES = ('.yaml', '.yml')
ANNOTATION_FOLDERS = ('annotations', 'labels', 'jsons', 'json')


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
    config = read_yaml(path) if path.suffix.lower() in YAML_SUFFIXES else None
    finder = ImageFinder(Path(images) if images else _root(path, config))
    parts = _read_parts(path, config, finder)
    if not parts:
        raise InvalidInputError(
            f'{path}: no annotations of a known format are found here. Give a folder with images '
            'and COCO JSON, LabelMe or VIA JSON, YOLO labels (data.yaml), the layout of VOC, or '
            'masks of instance ids; or an annotation file.')
    splits: dict[str, list[Annotations]] = {}
    for part in parts:
        splits.setdefault(part.split, []).append(part)
    order = [split for split in ('train', 'val', 'test', 'all') if split in splits]
    found = {split: clean(_merge(splits[split]), finder, need_images) for split in order}
    unify_categories(found)
    return found


def _root(path: Path, config: dict | None) -> Path:
    """The folder that holds annotations and images."""
    if path.is_dir():
        return path
    inside = path.parent / str((config or {}).get('path') or '')
    if config is not None:
        return inside if inside.is_dir() else path.parent
    return path.parent.parent if path.parent.name.lower() in ANNOTATION_FOLDERS else path.parent


def _read_parts(path: Path, config: dict | None, finder: ImageFinder) -> list[Annotations]:
    if path.is_file():
        if config is not None:
            return read_yolo(finder, config)
        return _read_json_files([path], finder, path.parent)
    for file in sorted(path.iterdir()):
        config = read_yaml(file) if file.suffix.lower() in YAML_SUFFIXES else None
        if config is not None:
            return read_yolo(finder, config)
    files = sorted(file for file in path.rglob('*') if file.suffix.lower() == '.json'
                   and not any(each.startswith('.') or each == ARCHIVE_FOLDER
                               for each in file.relative_to(path).parts))
    readers: tuple[Callable[[], list[Annotations]], ...] = (
        lambda: _read_json_files(files, finder, path), lambda: read_voc(finder),
        lambda: read_yolo(finder, None), lambda: read_masks(finder))
    return next(filter(None, (read() for read in readers)), [])


def _read_json_files(files: list[Path], finder: ImageFinder, root: Path) -> list[Annotations]:
    """All COCO files; without any all of VIA; without any all of LabelMe."""
    coco, via, labelme, broken = [], [], {}, []
    root = finder.root if all(file.is_relative_to(finder.root) for file in files) else root
    for file in files:
        try:
            content = read_json(file)
        except InvalidInputError as error:
            if len(files) == 1:
                raise
            broken.append(Problem('broken annotation', file.relative_to(root).as_posix(),
                                  f'{error} Left out.'))
            continue
        if is_coco(content):
            coco.append(read_coco(content, file, root))
        elif via_images(content):
            via.append(read_via(via_images(content), file, root))
        elif is_labelme(content):
            _add_labelme(content, file.relative_to(root), labelme, finder)
    named = [part for part in coco if Path(part.file).name.startswith('instances')]
    found = named or coco or via or [*labelme.values()]
    if not (coco or via):
        _report_without_json(labelme, finder)
    if found:
        found[0].problems += broken
        _report_text(files, root, found[0])
    return found


def _add_labelme(content: dict, file: Path, parts: dict[str, Annotations],
                 finder: ImageFinder) -> None:
    split = find_split(file.parent.parts)
    part = parts.setdefault(split, Annotations('LabelMe files', split))
    content.pop('imageData', None)
    read_labelme(content, file.as_posix(), part, finder)


def _report_without_json(parts: dict[str, Annotations], finder: ImageFinder) -> None:
    """Report images in a folder with LabelMe files that have none of their own."""
    rows = [image for part in parts.values() for image in part.images]
    known = {finder.find(image['file_name'], str(Path(image['source']).parent)) for image in rows}
    folders = {str(Path(file).parent) for file in known if file}
    for file in finder.files:
        if file not in known and str(Path(file).parent) in folders:
            next(iter(parts.values())).report('not annotated', file, 'there is no JSON of this '
                                              'image; left out.')


def _report_text(files: list[Path], root: Path, part: Annotations) -> None:
    """Report files with a BOM, which many programs do not read."""
    for file in files:
        with file.open('rb') as stream:
            if stream.read(3) == b'\xef\xbb\xbf':
                part.report('encoding', file.relative_to(root).as_posix(), 'the file begins with a '
                            'BOM, which is passed over.')


def _merge(parts: list[Annotations]) -> Annotations:
    """One part out of those of a split, with ids that tell them apart."""
    if len(parts) == 1:
        return parts[0]
    merged = Annotations(', '.join(part.file for part in parts)[:200], parts[0].split)
    for place, part in enumerate(parts):
        for row in part.images:
            merged.images.append(_with_ids(row, place, 'id') | dict(
                source=row.get('source', part.file), near=part.near) if isinstance(row, dict)
                else row)
        merged.categories += [_with_ids(row, place, 'id') for row in part.categories]
        merged.annotations += [
            {key: value for key, value in _with_ids(row, place, 'image_id', 'category_id').items()
             if key != 'id'} if isinstance(row, dict) else row for row in part.annotations]
        merged.problems += part.problems
    return merged


def _with_ids(row: Any, place: int, *keys: str) -> Any:
    """A row whose ids are preceded by the number of their file."""
    if not isinstance(row, dict):
        return row
    return row | {key: (place, str(row[key])) for key in keys if row.get(key) is not None}
