"""Read an instances JSON in COCO's format and check its tables."""
import json
import os
from collections import Counter
from collections.abc import Sequence

from ..errors import InvalidInputError
from ..utils.file_names import check_inside
from ..utils.foreign_errors import reason
from ..utils.limits import check_limit
from .transforms.loading import read_bytes

TABLES = dict(
    images=dict(id=int, file_name=str, width=int, height=int),
    categories=dict(id=int, name=str),
    annotations=dict(id=int, image_id=int, category_id=int, segmentation=(list, dict)))


def read_coco_file(path: str, backend_args: dict | None = None) -> dict[str, list[dict]]:
    """Read the JSON file; segmentations are left as they are and not looked into.

    Args:
        path: The file.
        backend_args: Arguments of mmengine's file backend.

    Returns:
        dict[str, list[dict]]: ``images``, ``categories`` and ``annotations``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no JSON, a table or a key is missing, a size is not positive, an id
            occurs twice, an annotation names an image or a category that is not there, a file name
            leads out of the images' folder, or one of :mod:`mmseg_instbox.utils.limits` is passed.
    """
    content = read_coco_json(path, backend_args)
    for name, keys in TABLES.items():
        _check_table(path, content, name, keys)
    _check_images(path, content['images'])
    _check_annotations(path, content['annotations'])
    known = {name: _unique_ids(path, name, content[name]) for name in TABLES}
    _check_references(path, content['annotations'], known)
    return {name: content[name] for name in TABLES}


def read_coco_json(path: str, backend_args: dict | None = None) -> object:
    """Read a JSON file and check nothing but its size; see :func:`read_coco_file`."""
    if os.path.isfile(path):
        check_limit('json_bytes', os.path.getsize(path), f'{path}: the annotation file')
    text = read_bytes(path, 'annotation file', backend_args)
    check_limit('json_bytes', len(text), f'{path}: the annotation file')
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f'{path}: the annotation file is no JSON or was cut off '
                                f'({reason(error)}). Fetch it again.') from error


def _check_table(path: str, content: object, name: str, keys: dict) -> None:
    table = content.get(name) if isinstance(content, dict) else None
    if not isinstance(table, list):
        raise InvalidInputError(f"{path}: the annotation file has no list '{name}'. Give an "
                                'instances JSON in the format of COCO, with images, annotations '
                                'and categories.')
    for row in table:
        for key, kind in keys.items():
            value = row.get(key) if isinstance(row, dict) else None
            if not isinstance(value, kind) or isinstance(value, bool):
                raise InvalidInputError(f"{path}: {_row_name(name, row)} has no '{key}', or one of "
                                        f'a wrong type: {str(row)[:120]}. Correct the file.')


def _row_name(table: str, row: object) -> str:
    number = row.get('id') if isinstance(row, dict) else None
    singular = dict(images='image', categories='category', annotations='annotation')[table]
    return f'an entry of {table}' if number is None else f'{singular} {number}'


def _check_images(path: str, images: Sequence[dict]) -> None:
    for image in images:
        if image['width'] < 1 or image['height'] < 1:
            raise InvalidInputError(f'{path}: image {image["id"]} is {image["width"]} x '
                                    f'{image["height"]} pixels. Correct its width and height.')
        check_limit('pixels', image['width'] * image['height'], f'{path}: image {image["id"]}')
        check_inside(image['file_name'], f'{path}: image {image["id"]}')


def _check_annotations(path: str, annotations: Sequence[dict]) -> None:
    for annotation in annotations:
        if annotation.get('iscrowd', 0) not in (0, 1):
            raise InvalidInputError(f'{path}: annotation {annotation["id"]} has iscrowd '
                                    f'{str(annotation["iscrowd"])[:40]!r}, expected 0 or 1. '
                                    'Correct the file.')
    counts = Counter(annotation['image_id'] for annotation in annotations)
    for image_id, number in counts.most_common(1):
        check_limit('objects', number, f'{path}: image {image_id}')


def _unique_ids(path: str, name: str, table: Sequence[dict]) -> set[int]:
    ids = set()
    for row in table:
        if row['id'] in ids:
            raise InvalidInputError(f'{path}: {_row_name(name, row)} is there twice. Give each '
                                    f'entry of {name} an id of its own.')
        ids.add(row['id'])
    return ids


def _check_references(path: str, annotations: Sequence[dict], known: dict[str, set]) -> None:
    for annotation in annotations:
        for key, table in (('image_id', 'images'), ('category_id', 'categories')):
            if annotation[key] not in known[table]:
                raise InvalidInputError(f'{path}: annotation {annotation["id"]} has {key} '
                                        f'{annotation[key]}, which is not among the {table}. '
                                        'Correct the file.')
