"""VGG Image Annotator's JSON, versions 1 and 2, as exported or as a project."""
from collections import Counter
from pathlib import Path
from typing import Any

from ..coco_masks import ellipse
from .annotated_images import DEFAULT_CATEGORY, Annotations, find_split

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
                       name.parent.as_posix())
    regions = {part.add_image(str(row['filename']), part.file): _regions(row) for row in rows}
    counts = Counter(key for each in regions.values() for _, attributes in each
                     for key in attributes)
    usual = [key for key in counts if key.strip().lower() in USUAL_NAMES]
    attribute = max(usual or counts, key=counts.get, default=None)
    for (image, its_regions), row in zip(regions.items(), rows, strict=True):
        for position, (shape, attributes) in enumerate(its_regions, 1):
            region, outline = f'region {position} of {row["filename"]}', _outline(shape)
            if not outline:
                kind = shape.get('name')
                part.report('box only' if kind == 'rect' else 'no mask', part.file,
                            f'{region} has no outline ({kind}); left out.')
                continue
            if attribute and attribute not in attributes:
                part.report('unknown category', part.file, f'{region} has no {attribute!r}; it '
                            f'gets the category {DEFAULT_CATEGORY!r}.')
            part.add(image, attributes.get(attribute, DEFAULT_CATEGORY), [outline],
                     number=position)
    return part


def _regions(row: dict) -> list[tuple[dict, dict[str, str]]]:
    """The shape and the attributes, as text, of each region, which are an object in version 1."""
    regions, found = row['regions'] or [], []
    for region in regions.values() if isinstance(regions, dict) else regions:
        region = region if isinstance(region, dict) else {}
        shape, attributes = (each if isinstance(each, dict) else {} for each in (
            region.get('shape_attributes'), region.get('region_attributes')))
        texts = {key: _text(value) for key, value in attributes.items()}
        found.append((shape, {key: text for key, text in texts.items() if text}))
    return found


def _text(value: Any) -> str:
    """The value of an attribute: a text, or the options that are chosen."""
    if isinstance(value, dict):
        return ', '.join(str(key) for key, chosen in value.items() if chosen)
    return '' if value is None else str(value).strip()


def _outline(shape: dict) -> list[float] | None:
    """A polygon; None for a shape that has no area, or is broken."""
    kind = shape.get('name')
    try:
        if kind in ('polygon', 'polyline'):
            points = zip(shape['all_points_x'], shape['all_points_y'], strict=True)
            return [value for point in points for value in point]
        if kind in ('circle', 'ellipse'):
            radii = (shape['r'], shape['r']) if kind == 'circle' else (shape['rx'], shape['ry'])
            return ellipse(shape['cx'], shape['cy'], *radii, shape.get('theta', 0))
    except (KeyError, TypeError, ValueError):
        pass
    return None
