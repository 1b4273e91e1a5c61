"""COCO's instances JSON, also as Roboflow, CVAT, Label Studio, VIA and labelme2coco write it."""
from pathlib import Path

from .annotated_images import Annotations, find_split


def is_coco(content: object) -> bool:
    """Whether the content of a JSON file has COCO's tables of instances."""
    return isinstance(content, dict) and all(
        isinstance(content.get(name), list) for name in ('images', 'annotations', 'categories'))


def read_coco(content: dict, file: Path, root: Path) -> Annotations:
    """The tables of a file below a folder; its split is what the names of file and folders say."""
    name = file.relative_to(root) if file.is_relative_to(root) else Path(file.name)
    return Annotations(
        file=name.as_posix(),
        split=find_split(name.with_suffix('').parts),
        images=content['images'],
        annotations=content['annotations'],
        categories=content['categories'],
        near=name.parent.as_posix())
