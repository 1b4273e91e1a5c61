"""Check annotations, repair what can be repaired and leave out what cannot be used."""
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as mask_tools

from ...errors import InstBoxError
from ...utils.file_names import check_inside
from ...utils.foreign_errors import reason
from ...utils.limits import limit
from ..instance_maps import VOID
from .annotated_images import AnnotatedImages, Annotations, Problem, number
from .image_finder import TURNED, ImageFinder
from .segmentations import Fault, polygon_area, read_code, read_points, turn_points

MAX_CATEGORIES = VOID - 1  # beside background
MAX_DECODED = 5000  # of larger data sets only the headers of the images are read
SMALL = 16  # square pixels: whether a polygon below covers a pixel at all is computed
BEYOND = 2  # pixels that an outline may leave the image by without mention


def clean(part: Annotations, finder: ImageFinder | None,
          need_images: bool = True) -> AnnotatedImages:
    """Check the tables of an annotation file.

    Args:
        part: The tables.
        finder: Finds the images; None leaves their names as they are and reads no image.
        need_images: Whether an image without its file is left out although its size is known.
    """
    return _Cleaner(part, finder, need_images).clean()


class _Cleaner:

    def __init__(self, part: Annotations, finder: ImageFinder | None, need_images: bool) -> None:
        self.part, self.finder, self.need_images = part, finder, need_images
        self.problems = [*part.problems]
        self.images: dict[Any, dict] = {}  # by the id in the file; a lost one is empty
        self.categories: dict[Any, str] = {}

    def clean(self) -> AnnotatedImages:
        self._read_categories()
        self._read_images()
        objects = self._read_objects()
        images = {id(each): each for each in self.images.values() if each}  # each file once
        rows = self._number_images([*images.values()])
        self._check_counts(rows, objects)
        if not objects and self.part.split in ('train', 'all'):
            self.report('nothing to train on', self.part.file,
                        f'{len(rows)} images and no object that can be used.')
        coco = dict(images=rows, annotations=objects, categories=self._category_rows(objects))
        root = self.finder.root if self.finder else Path()
        return AnnotatedImages(root, coco, self.problems)

    def report(self, kind: str, file: str, message: str, image: str = '') -> None:
        self.problems.append(Problem(kind, file, message, image))

    def _report_row(self, kind: str, row: Any, message: str) -> None:
        """Report a problem of an annotation."""
        image = self.images.get(_key(row.get('image_id'))) if isinstance(row, dict) else None
        source = (image or {}).get('source', self.part.file)
        self.report(kind, source, message, (image or {}).get('file_name', ''))

    def _read_categories(self) -> None:
        for row in self.part.categories:
            name = row.get('name') if isinstance(row, dict) else None
            if not isinstance(name, str | int) or _key(row.get('id')) is None:
                self.report('broken annotation', self.part.file,
                            f'the category {str(row)[:100]} has no id or no name; left out.')
            elif _key(row['id']) in self.categories:
                self.report('duplicate id', self.part.file,
                            f'category {row["id"]} is there twice; {name!r} is left out.')
            else:
                self.categories[_key(row['id'])] = str(name).strip() or 'object'
        names = sorted(set(self.categories.values()))
        in_file = Counter((key[0] if isinstance(key, tuple) else 0, name)
                          for key, name in self.categories.items())
        for (_, name), count in in_file.items():
            if count > 1:
                self.report('category names', self.part.file,
                            f'{count} categories have the name {name!r}; they become one.')
            alike = [each for each in names if each != name and each.lower() == name.lower()]
            if alike and name < alike[0]:
                self.report('category names', self.part.file, f'the categories {name!r} and '
                            f'{alike[0]!r} differ in case only; they are kept apart.')

    def _category_rows(self, objects: list[dict]) -> list[dict]:
        """Categories by name, those of equal names with one id; parents without objects go."""
        parents = {row.get('supercategory') for row in self.part.categories
                   if isinstance(row, dict) and row.get('supercategory') != row.get('name')}
        used = {each['category_id'] for each in objects}
        ids = {}
        for key, name in self.categories.items():
            ids.setdefault(name, number(key) if number(key) not in (None, *ids.values()) else 0)
            ids[name] = ids[name] or number(key) or 0
        names = [name for name in ids if name in used or name not in parents]
        for name in names:  # 0 is no id for pycocotools, and some files have names as ids
            if not ids[name] > 0:
                ids[name] = max(0, *ids.values()) + 1
        for each in objects:
            each['category_id'] = ids[each['category_id']]
        if len(names) > MAX_CATEGORIES:
            self.report('too many categories', self.part.file, f'{len(names)} categories; at most '
                        f'{MAX_CATEGORIES} are possible. Join some of them.')
        return [dict(id=ids[name], name=name, supercategory='') for name in names]

    def _read_images(self) -> None:
        files: dict[str, dict] = {}
        away = []
        for row in self.part.images:
            source = row.get('source', self.part.file) if isinstance(row, dict) else self.part.file
            key = _key(row.get('id')) if isinstance(row, dict) else None
            name = row.get('file_name') if isinstance(row, dict) else None
            if key is None or not isinstance(name, str) or not name.strip():
                self.report('broken annotation', source,
                            f'the image {str(row)[:100]} has no id or no file name; left out.')
                continue
            if key in self.images:
                self.report('duplicate id', source,
                            f'image {key} is there twice; {name} is left out.')
                continue
            image = self._find_image(row, name, source)
            file = image.get('file_name')
            if file in files:
                self.report('duplicate file', source, f'{file} is listed twice; its objects are '
                            'joined.', file)
            self.images[key] = files.setdefault(file, image) if file else {}
            near = row.get('near', self.part.near)
            if self.finder and file and file != f'{near}/{name}'.removeprefix('./').lstrip('/'):
                away.append((source, name, file))
        self._report_moved(away, len(files))
        self._drop_broken(files)

    def _report_moved(self, away: list[tuple[str, str, str]], total: int) -> None:
        """Report names that are no paths, and images that are not where most of them are."""
        for source, name, file in away:
            if not f'/{file}'.endswith(f'/{name}'):
                self.report('file name', source, f'{name!r} is taken to be {file}.')
            elif len(away) * 2 < total:
                self.report('moved file', source, f'{name} is found as {file}.')

    def _drop_broken(self, files: dict[str, dict]) -> None:
        if self.finder is None or len(files) > MAX_DECODED:
            return
        known = set(self.finder.files)
        for file, why in self.finder.find_broken([each for each in files if each in known]).items():
            self.report('unreadable image', file, f'the image is broken or truncated ({why}); left '
                        'out.')
            files[file].clear()

    def _find_image(self, row: dict, name: str, source: str) -> dict:
        """The image of a row; empty if it cannot be used, which is reported."""
        width, height = number(row.get('width')) or 0, number(row.get('height')) or 0
        known = width > 0 and height > 0 and width * height <= limit('pixels')
        image = dict(file_name=name, width=width, height=height, source=source)
        if self.finder is None:
            try:
                check_inside(name, source)
            except InstBoxError as error:
                self.report('file name', source, f'{error} Left out.')
                return {}
            if not known:
                self.report('image size', source, f'{name} has the size {width} x {height}; left '
                            'out.')
            return image if known else {}
        file = self.finder.find(name, row.get('near', self.part.near))
        if file is None and (self.need_images or not known):
            self.report('missing file', source, f'there is no image {name}; left out.')
            return {}
        if file is None:
            return image | dict(file_name=name.replace('\\', '/'))
        return self._measure(image, file, (width, height) if known else None)

    def _measure(self, image: dict, file: str, given: tuple[int, int] | None) -> dict:
        """Complete an image by its file."""
        try:
            width, height, orientation = self.finder.info(file)
        except (InstBoxError, OSError) as error:
            self.report('unreadable image', file, f'{reason(error)}; left out.')
            return {}
        image |= dict(file_name=file, width=width, height=height)
        if given == (height, width) and orientation in TURNED:
            image['turn'] = orientation
            self.report('orientation', image['source'], f'{file} is turned by its EXIF '
                        'orientation, its objects are not; they are turned, too.', file)
        elif given not in (None, (width, height)):
            self.report('image size', image['source'], f'{file} is {width} x {height} pixels, not '
                        f'{given[0]} x {given[1]}; its objects stay where they are.', file)
        elif orientation in (2, 3, 4):
            self.report('orientation', image['source'], f'{file} has the EXIF orientation '
                        f'{orientation}; its objects are taken to be drawn on the turned image.',
                        file)
        return image

    def _read_objects(self) -> list[dict]:
        objects, crowds = [], 0
        ids: set[int] = set()
        seen: set[tuple] = set()
        renumbered = False
        for position, row in enumerate(self.part.annotations, 1):
            own = row if isinstance(row, dict) else {}
            name = f'annotation {own.get("id", own.get("number", position))}'
            try:
                each = self._read_object(row, name)
                if each is None:
                    continue
                image, own = each['image_id'], number(row.get('id'))
                same = (id(image), each['category_id'], each['area'], *each['bbox'])
                if same in seen:
                    raise Fault('duplicate object', 'is there twice; the second is left out')
                seen.add(same)
            except Fault as fault:
                kind, message = fault.args
                self._report_row(kind, row, f'{name} {message}.')
                continue
            if 'id' in row and (own is None or own in ids):
                renumbered = True
                self._report_row('duplicate id', row, f'{name} has no id of its own; all are '
                                 'numbered anew.')
            ids.add(own)
            crowds += each['iscrowd']
            objects.append(dict(id=own, **each))
        if renumbered or None in ids:
            objects = [each | dict(id=new) for new, each in enumerate(objects, 1)]
        if objects and crowds == len(objects):
            self.report('all crowd', self.part.file, f'all {crowds} annotations have iscrowd=1; '
                        'they are read as single objects.')
            for each in objects:
                each['iscrowd'] = 0
        return objects

    def _read_object(self, row: Any, name: str) -> dict | None:
        """An annotation with its image and the name of its category; None if the image is lost."""
        if not isinstance(row, dict):
            raise Fault('broken annotation', f'is {str(row)[:100]}; left out')
        image = self.images.get(_key(row.get('image_id')))
        if image is None:
            raise Fault('unknown image', f'is of image {row.get("image_id")!r}, which is not '
                         'listed; left out')
        category = self.categories.get(_key(row.get('category_id')))
        if not image:
            return None
        if category is None:
            raise Fault('unknown category', f'has the category {row.get("category_id")!r}, which '
                         'is not listed; left out')
        segmentation, box = row.get('segmentation'), row.get('bbox')
        if not isinstance(segmentation, list | dict) or not segmentation:
            raise Fault(*(('box only', 'has a box and no mask; left out') if box else
                           ('no mask', 'has no segmentation; left out')))
        if isinstance(segmentation, dict):
            segmentation, own_box, area = read_code(segmentation, image)
        else:
            segmentation, own_box, area = self._read_polygons(segmentation, image, row, name)
        self._check_box(box, own_box, row, name)
        given = row.get('area')
        area = float(given) if isinstance(given, int | float) and given > 0 else area
        x1, y1 = max(own_box[0], 0), max(own_box[1], 0)
        x2, y2 = min(own_box[2], image['width']), min(own_box[3], image['height'])
        more = {key: row[key] for key in ('score',) if key in row}
        return dict(image_id=image, category_id=category, segmentation=segmentation,
                    bbox=[x1, y1, x2 - x1, y2 - y1], area=area,
                    iscrowd=int(number(row.get('iscrowd')) == 1), **more)

    def _check_box(self, box: Any, own: Sequence[float], row: dict, name: str) -> None:
        if not isinstance(box, list) or len(box) != 4 or not all(
                isinstance(each, int | float) for each in box):
            return
        x1, y1, x2, y2 = box[0], box[1], box[0] + box[2], box[1] + box[3]
        both = (max(min(x2, own[2]) - max(x1, own[0]), 0)
                * max(min(y2, own[3]) - max(y1, own[1]), 0))
        union = (box[2] * box[3] + (own[2] - own[0]) * (own[3] - own[1]) - both)
        if 2 * both < union and union > SMALL:
            self._report_row('box disagrees', row, f'the box of {name} is '
                        f'{[round(each) for each in box]} (x, y, width, height), but its mask is '
                        f'at {[round(each) for each in own]} (x1, y1, x2, y2); the mask is used.')

    def _read_polygons(self, segmentation: list, image: dict, row: dict,
                       name: str) -> tuple[list, list[float], float]:
        """Polygons that can be used, their box (x1, y1, x2, y2) and their area."""
        nested = isinstance(segmentation[0], list | tuple)
        outlines = [read_points(each) for each in (segmentation if nested else [segmentation])]
        kept = [each for each in outlines if len(each) >= 3]
        if not kept:
            raise Fault('few points', 'has a polygon of fewer than 3 points; left out')
        if len(kept) < len(outlines):
            self._report_row('few points', row, f'{name} has {len(outlines) - len(kept)} '
                        'polygons of fewer than 3 points, which are left out, and others.')
        width, height = image['width'], image['height']
        if 'turn' in image:
            kept = [turn_points(each, image['turn'], (height, width)) for each in kept]
        low = np.min([each.min(axis=0) for each in kept], axis=0).tolist()
        high = np.max([each.max(axis=0) for each in kept], axis=0).tolist()
        if high[0] <= 0 or high[1] <= 0 or low[0] >= width or low[1] >= height:
            raise Fault('outside image', 'lies outside its image; left out')
        if min(low) < -BEYOND or high[0] > width + BEYOND or high[1] > height + BEYOND:
            self._report_row('outside image', row, f'{name} reaches beyond its image and '
                        'is cut at the border.')
        area = sum(polygon_area(each) for each in kept)
        unchanged = nested and len(kept) == len(segmentation) and 'turn' not in image and not any(
            isinstance(each[0], list) for each in segmentation)
        polygons = segmentation if unchanged else [each.ravel().tolist() for each in kept]
        if area < SMALL:
            codes = mask_tools.frPyObjects(polygons, height, width)
            if not mask_tools.area(mask_tools.merge(codes)):
                raise Fault('no area', 'covers no pixel; left out')
        return polygons, [*low, *high], area

    def _number_images(self, images: list[dict]) -> list[dict]:
        """The rows of COCO's table; whole numbers stay ids, others are replaced."""
        keys = {}
        for key, image in self.images.items():
            keys.setdefault(id(image), key)
        numbers = [keys[id(image)] for image in images]
        if not all(isinstance(key, int) for key in numbers):
            numbers = range(1, len(images) + 1)
        for key, image in zip(numbers, images, strict=True):
            image['id'] = key
        return images

    def _check_counts(self, images: list[dict], objects: list[dict]) -> None:
        """Replace images by their ids, and report images with no or too many objects."""
        counts = Counter()
        for each in objects:
            each['image_id'] = each['image_id']['id']
            counts[each['image_id']] += 1
        crowded = {image['id'] for image in images if counts[image['id']] > limit('objects')}
        for image in images:
            source = image.pop('source')
            image.pop('turn', None)
            if not counts[image['id']]:
                self.report('no objects', source, f'{image["file_name"]} has no objects.',
                            image['file_name'])
            elif image['id'] in crowded:
                self.report('too many objects', source, f'{image["file_name"]} has '
                            f'{counts[image["id"]]:,} objects, the limit is {limit("objects"):,} '
                            '(INSTBOX_MAX_OBJECTS); left out.')
        images[:] = [image for image in images if image['id'] not in crowded]
        objects[:] = [each for each in objects if each['image_id'] not in crowded]


def _key(value: Any) -> Any:
    """An id as a whole number where it is one, else as it is; None if it is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    whole = number(value)
    return whole if whole is not None else value if isinstance(value, str | tuple) else None
