"""VGG Image Annotator's JSON, versions 1 and 2, as exported or as a project."""
from collections import Counter
from pathlib import Path
from typing import Any

from .annotated_images import DEFAULT_CATEGORY, Annotations, find_split
from .labelme import circle

USUAL_NAMES = ('name', 'label', 'class', 'category', 'type', 'object')


def via_images(content: object) -> list[dict] | None:
    """The images of the content of a JSON file; None if it is not VIA's."""
    if isinstance(content, dict):
        content = content.get('_via_img_metadata', content)
    rows = list(content.values()) if isinstance(content, dict) else []
    fits = rows and all(isinstance(row, dict) and 'filename' in row and 'regions' in row
                        for row in rows)
    return rows if fits else None


def read_via(rows: list[dict], file: Path, root: Path) -> Annotations:
    """The images and objects of a file below a folder.

    The category is the value of one attribute of the regions: one of the usual names, else the one
    that most regions have; without any all objects are of one category.
    """
    name = file.relative_to(root)
    part = Annotations(name.as_posix(), find_split(name.with_suffix('').parts),
                       near=name.parent.as_posix())
    attribute = _category_attribute(rows)
    for row in rows:
        image = part.add_image(str(row['filename']), part.file)
        for position, region in enumerate(_regions(row), 1):
            where = f'region {position} of {row["filename"]}'
            outline = _outline(region.get('shape_attributes')) if isinstance(region, dict) else None
            if isinstance(outline, list):
                part.add(image, _category(region, attribute), [outline], number=position)
            else:
                part.report('box only' if outline == 'rect' else 'no mask', part.file,
                            f'{where} has no outline ({outline}); left out.')
    return part


def _regions(row: dict) -> list:
    """The regions, an object in version 1 and a list in version 2."""
    regions = row['regions']
    return [*regions.values()] if isinstance(regions, dict) else regions or []


def _attributes(region: Any) -> dict:
    found = region.get('region_attributes') if isinstance(region, dict) else None
    return found if isinstance(found, dict) else {}


def _category_attribute(rows: list[dict]) -> str | None:
    counts = Counter(key for row in rows for region in _regions(row)
                     for key, value in _attributes(region).items() if _text(value))
    usual = [key for key in counts if key.strip().lower() in USUAL_NAMES]
    return max(usual or counts, key=counts.get, default=None)


def _category(region: dict, attribute: str | None) -> str:
    return _text(_attributes(region).get(attribute)) or DEFAULT_CATEGORY


def _text(value: Any) -> str:
    """The value of an attribute: a text, or the options that are chosen."""
    if isinstance(value, dict):
        return ', '.join(str(key) for key, chosen in value.items() if chosen)
    return '' if value is None else str(value).strip()


def _outline(shape: Any) -> list[float] | str | None:
    """A polygon; the name of a shape that is none."""
    shape = shape if isinstance(shape, dict) else {}
    kind = shape.get('name')
    try:
        if kind in ('polygon', 'polyline'):
            points = zip(shape['all_points_x'], shape['all_points_y'], strict=True)
            return [value for point in points for value in point]
        if kind in ('circle', 'ellipse'):
            radii = (shape['r'], shape['r']) if kind == 'circle' else (shape['rx'], shape['ry'])
            return circle(shape['cx'], shape['cy'], *radii)
    except (KeyError, TypeError, ValueError):
        return None
    return kind
