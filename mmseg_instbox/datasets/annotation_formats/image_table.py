"""The table of images of an annotation file, each row with its file."""
from typing import Any

from ...errors import InstBoxError
from ...utils.file_names import check_inside
from ...utils.foreign_errors import reason
from ...utils.limits import limit
from .annotated_images import Annotations, id_key, number
from .image_finder import TURNED, ImageFinder

MAX_DECODED = 5000  # of larger data sets only the headers of the images are read


def read_images(part: Annotations, finder: ImageFinder | None,
                need_images: bool) -> dict[Any, dict]:
    """Find and measure the images of an annotation file.

    Args:
        part: The tables of the file; gets the problems.
        finder: Finds the images; None leaves their names as they are and reads no image.
        need_images: Whether an image without its file is left out although its size is known.

    Returns:
        dict: By the id in the file: ``file_name``, ``width``, ``height``, ``source``, what it has
        of ``video_id`` and ``frame_id`` and, if the objects have to be turned with the image,
        ``turn``. An image that cannot be used is empty; a file that is listed twice has one
        dictionary.
    """
    images: dict[Any, dict] = {}
    files: dict[str, dict] = {}
    away = []
    for given in part.images:
        row = given if isinstance(given, dict) else {}
        source, near = row.get('source', part.file), row.get('near', part.near)
        key, name = id_key(row.get('id')), row.get('file_name')
        if key is None or not isinstance(name, str) or not name.strip():
            part.report('broken annotation', source,
                        f'the image {str(given)[:100]} has no id or no file name; left out.')
            continue
        if key in images:
            part.report('duplicate id', source, f'image {key} is there twice; {name} is left out.')
            continue
        image = _find_image(row, near, source, part, finder, need_images)
        file = image.get('file_name')
        if file in files:
            part.report('duplicate file', source, f'{file} is listed twice; its objects are '
                        'joined.', file)
        images[key] = files.setdefault(file, image) if file else {}
        if finder and file and file != f'{near}/{name}'.removeprefix('./').lstrip('/'):
            away.append((source, name, file))
    for source, name, file in away:
        if not f'/{file}'.endswith(f'/{name}'):
            part.report('file name', source, f'{name!r} is taken to be {file}.')
        elif len(away) * 2 < len(files):  # most images are where the names lead
            part.report('moved file', source, f'{name} is found as {file}.')
    if finder and len(files) <= MAX_DECODED:
        there = [*files.keys() & {*finder.files}]
        for file, why in sorted(finder.find_broken(there).items()):
            part.report('unreadable image', file, f'the image is broken or truncated ({why}); left '
                        'out.')
            files[file].clear()
    return images


def _find_image(row: dict, near: str, source: str, part: Annotations, finder: ImageFinder | None,
                need_images: bool) -> dict:
    """The image of a row; empty if it cannot be used, which is reported."""
    name, width, height = row['file_name'], number(row.get('width')), number(row.get('height'))
    known = bool(width and height) and min(width, height) > 0 and width * height <= limit('pixels')
    image = dict(file_name=name.replace('\\', '/'), width=width, height=height, source=source,
                 **{key: row[key] for key in ('video_id', 'frame_id') if key in row})
    if finder is None:
        try:
            check_inside(name, source)
        except InstBoxError as error:
            part.report('file name', source, f'{error} Left out.')
            return {}
        if not known:
            part.report('image size', source, f'{name} has the size {width} x {height}; left out.')
        return image if known else {}
    file = finder.find(name, near)
    if file is None:
        if need_images or not known:
            part.report('missing file', source, f'there is no image {name}; left out.')
            return {}
        return image
    try:
        width, height, orientation = finder.info(file)
    except (InstBoxError, OSError) as error:
        part.report('unreadable image', file, f'{reason(error)}; left out.')
        return {}
    given = (image['width'], image['height']) if known else None
    image |= dict(file_name=file, width=width, height=height)
    if given == (height, width) != (width, height) and orientation in TURNED:
        image['turn'] = orientation
        part.report('orientation', source, f'{file} is turned by its EXIF orientation, its objects '
                    'are not; they are turned, too.', file)
    elif given not in (None, (width, height)):
        part.report('image size', source, f'{file} is {width} x {height} pixels, not {given[0]} x '
                    f'{given[1]}; its objects stay where they are.', file)
    elif given and (orientation in (2, 3, 4) or orientation in TURNED and width == height):
        part.report('orientation', source, f'{file} has the EXIF orientation {orientation}; its '
                    'objects are taken to be drawn on the turned image.', file)
    return image


def number_images(images: dict[Any, dict]) -> list[dict]:
    """COCO's table of the images that can be used; whole numbers stay ids."""
    rows: dict[int, tuple[Any, dict]] = {}
    for key, image in images.items():
        if image:
            rows.setdefault(id(image), (key, image))
    whole = all(isinstance(key, int) for key, _ in rows.values())
    for position, (key, image) in enumerate(rows.values(), 1):
        image['id'] = key if whole else position
    return [image for _, image in rows.values()]
