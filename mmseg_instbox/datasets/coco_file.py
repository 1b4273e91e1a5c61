"""Read an instances JSON in COCO's format and refuse one with faults."""
import os
from collections import Counter

from ..errors import InvalidInputError
from ..utils.file_names import check_inside
from ..utils.limits import check_limit
from .annotation_formats.annotated_images import parse_json
from .transforms.loading import read_bytes

TABLES = dict(
    images=dict(id=int, file_name=str, width=int, height=int),
    categories=dict(id=int, name=str),
    annotations=dict(id=int, image_id=int, category_id=int, segmentation=(list, dict)))


def read_coco_file(path: str, backend_args: dict | None = None) -> dict[str, list[dict]]:
    """Read the JSON file: ``images``, ``categories``, ``annotations`` and, if any, ``videos``.

    Segmentations are left as they are and not looked into.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no JSON, a table or a key is missing, a size is not positive, an id
            occurs twice, an annotation names an image or a category that is not there, a file name
            leads out of the images' folder, or one of :mod:`mmseg_instbox.utils.limits` is passed.
    """
    content = read_coco_json(path, backend_args)
    known = {name: _check_table(path, content, name) for name in TABLES}
    for image in content['images']:
        where = f'{path}: image {image["id"]}'
        if image['width'] < 1 or image['height'] < 1:
            raise InvalidInputError(f'{where} is {image["width"]} x {image["height"]} pixels. '
                                    'Correct its width and height.')
        check_limit('pixels', image['width'] * image['height'], where)
        check_inside(image['file_name'], where)
    for each in content['annotations']:
        if each.get('iscrowd', 0) not in (0, 1):
            raise InvalidInputError(f'{path}: annotation {each["id"]} has iscrowd '
                                    f'{str(each["iscrowd"])[:40]!r}, expected 0 or 1. Correct the '
                                    'file.')
        for key, table in (('image_id', 'images'), ('category_id', 'categories')):
            if each[key] not in known[table]:
                raise InvalidInputError(f'{path}: annotation {each["id"]} has {key} {each[key]}, '
                                        f'which is not among the {table}. Correct the file.')
    counts = Counter(each['image_id'] for each in content['annotations'])
    for image_id, number in counts.most_common(1):
        check_limit('objects', number, f'{path}: image {image_id}')
    tables = {name: content[name] for name in TABLES}
    if isinstance(content.get('videos'), list):
        tables['videos'] = [row for row in content['videos'] if isinstance(row, dict)]
    return tables


def read_coco_json(path: str, backend_args: dict | None = None) -> object:
    """Read a JSON file and check nothing but its size; see :func:`read_coco_file`."""
    if os.path.isfile(path):
        check_limit('json_bytes', os.path.getsize(path), f'{path}: the annotation file')
    text = read_bytes(path, 'annotation file', backend_args)
    check_limit('json_bytes', len(text), f'{path}: the annotation file')
    return parse_json(text, path)


def find_rows(path: str, content: object, name: str) -> list:
    """The rows of a table, unchecked; raises ValueError if there is no such table."""
    rows = content.get(name) if isinstance(content, dict) else None
    if not isinstance(rows, list):
        raise InvalidInputError(f"{path}: the annotation file has no list '{name}'. Give an "
                                'instances JSON in the format of COCO, with images, annotations '
                                'and categories.')
    return rows


def _check_table(path: str, content: object, name: str) -> set[int]:
    """The ids of a table, whose rows are complete."""
    singular = dict(images='image', categories='category', annotations='annotation')[name]
    ids = set()
    for row in find_rows(path, content, name):
        fields = row if isinstance(row, dict) else {}
        what = f'{singular} {fields["id"]}' if 'id' in fields else f'an entry of {name}'
        for key, kind in TABLES[name].items():
            if not isinstance(fields.get(key), kind) or isinstance(fields[key], bool):
                raise InvalidInputError(f"{path}: {what} has no '{key}', or one of a wrong type: "
                                        f'{str(row)[:120]}. Correct the file.')
        if row['id'] in ids:
            raise InvalidInputError(f'{path}: {what} is there twice. Give each entry of {name} an '
                                    'id of its own.')
        ids.add(row['id'])
    return ids
