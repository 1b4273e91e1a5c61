"""Check annotations, repair what can be repaired and leave out what cannot be used."""
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as mask_tools

from ...errors import InvalidInputError
from ...utils.limits import limit
from ..coco_masks import read_polygons, segmentation_rle
from ..instance_maps import VOID
from .annotated_images import (
    DEFAULT_CATEGORY,
    AnnotatedImages,
    Annotations,
    Problem,
    id_key,
    number,
)
from .images import ImageFinder, read_images
from .outlines import Outline, measure_outlines, take_measured, turn_polygon

SMALL = 16  # square pixels: whether a polygon below covers a pixel at all is computed
BEYOND = 2  # pixels that an outline may leave the image by without mention
ALIKE = 20  # objects from which on it is reported that all are rectangles
MAX_CATEGORIES = VOID - 1  # beside background
KEPT = ('score', 'track_id')  # of an annotation, beside what COCO's format needs


class Fault(Exception):
    """Why an annotation is left out: a message, and the kind of the problem."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def clean(parts: list[Annotations], finder: ImageFinder | None,
          need_images: bool = True) -> dict[str, AnnotatedImages]:
    """Check the tables of splits, and give all splits the same categories with the same ids.

    Order and ids of the categories are those of the files. Categories of one name become one, what
    is no number from 0 on becomes one, and those that are only parents of others are left out.

    Args:
        parts: The tables of each split; those of images and annotations are used up.
        finder: Finds the images; None leaves their names as they are and reads no image.
        need_images: Whether an image without its file is left out although its size is known.

    Returns:
        dict[str, AnnotatedImages]: By split.
    """
    cleaners = [_Cleaner(part, finder, need_images) for part in parts]
    ids: dict[str, int] = {}
    names = dict.fromkeys(name for each in cleaners for name in each.category_names())
    for each in cleaners:
        for key, name in each.categories.items():
            own = number(key[1] if isinstance(key, tuple) else key)
            if name in names and own is not None and own >= 0 and own not in ids.values():
                ids.setdefault(name, own)
    for name in names:
        ids.setdefault(name, max([0, *ids.values()]) + 1)
    rows = [dict(id=ids[name], name=name, supercategory='') for name in sorted(ids, key=ids.get)]
    used = set().union(*(each.used for each in cleaners))
    parts[0].problems += [Problem('empty category', '', f'no object has the category {name!r}.')
                          for name in ids if name not in used]
    for each in cleaners:
        for row in each.objects:
            row['category_id'] = ids[row['category_id']]
        if len(names) > MAX_CATEGORIES:
            each.part.report('too many categories', each.part.file, f'{len(names)} categories; at '
                             f'most {MAX_CATEGORIES} are possible. Join some of them.')
    root = finder.root if finder else Path()
    return {each.part.split: AnnotatedImages(root, dict(
        images=each.rows, annotations=each.objects, categories=[*map(dict, rows)],
        **(dict(videos=each.part.videos) if each.part.videos else {})), each.part.problems)
        for each in cleaners}


class _Cleaner:
    """The tables of a split: ``categories`` by the ids in the file, ``rows`` of images and
    ``objects``, whose ``category_id`` is the name of their category."""

    def __init__(self, part: Annotations, finder: ImageFinder | None, need_images: bool) -> None:
        self.part = part
        self.categories = self._read_categories()
        self.images, self.rows = read_images(part, finder, need_images)
        self.rectangles = True  # whether all objects fill their boxes
        self.brushed = 0  # masks of CVAT's brush, which it calls crowds
        self.objects = self._read_objects()
        self._check_counts()
        self.used = {each['category_id'] for each in self.objects}
        if not self.objects and part.split in ('train', 'all'):
            kinds = Counter(each.kind for each in part.problems if each.kind != 'no objects')
            why = ', '.join(f'{count} x {kind}' for kind, count in kinds.most_common(3))
            part.report('nothing to train on', part.file,
                        f'{len(self.rows)} images and no object that can be used'
                        + (f' ({why}).' if why else '.')
                        + (' Name the folder of the images with --images.'
                           if 'missing file' in kinds and not self.rows else ''))

    def category_names(self) -> list[str]:
        """The names of the categories without those that are only parents of others."""
        parents = {row.get('supercategory') for row in self.part.categories
                   if isinstance(row, dict) and row.get('supercategory') != row.get('name')}
        return [name for name in self.categories.values()
                if name in self.used or name not in parents]

    def _read_categories(self) -> dict[Any, str]:
        """The names of the categories by the ids in the file, broken and repeated ones left out."""
        part, categories = self.part, {}
        for row in part.categories:
            given = row if isinstance(row, dict) else {}
            name, key = given.get('name'), id_key(given.get('id'))
            if not isinstance(name, str | int) or key is None:
                part.report('broken annotation', part.file,
                            f'the category {str(row)[:100]} has no id or no name; left out.')
            elif key in categories:
                part.report('duplicate id', part.file,
                            f'category {row["id"]} is there twice; {name!r} is left out.')
            else:
                categories[key] = str(name).strip() or DEFAULT_CATEGORY
        in_file = Counter((key[0] if isinstance(key, tuple) else 0, name)
                          for key, name in categories.items())
        names = sorted({*categories.values()})
        for (_, name), count in in_file.items():
            if count > 1:
                part.report('category names', part.file,
                            f'{count} categories have the name {name!r}; they become one.')
            alike = [each for each in names if each != name and each.lower() == name.lower()]
            if alike and name < alike[0]:
                part.report('category names', part.file, f'the categories {name!r} and '
                            f'{alike[0]!r} differ in case only; they are kept apart.')
        return categories

    def _report(self, kind: str, row: Any, message: str) -> None:
        """Report a problem of an annotation."""
        key = id_key(row.get('image_id')) if isinstance(row, dict) else None
        image = self.images.get(key) or {}
        self.part.report(kind, image.get('source', self.part.file), message,
                         image.get('file_name', ''))

    def _read_objects(self) -> list[dict]:
        objects, renumber = [], False
        ids: set[int | None] = set()
        seen: set[tuple] = set()
        for position, (row, outline) in enumerate(take_measured(self.part.annotations), 1):
            given = row if isinstance(row, dict) else {}
            name = f'annotation {given.get("id", given.get("number", position))}'
            try:
                each = self._read_object(row, name, outline)
                if each is None:
                    continue
                same = (each['image_id'], each['category_id'], each['area'], *each['bbox'])
                if same in seen:
                    raise Fault('duplicate object', f'{name} is there a second time')
            except Fault as fault:
                self._report(fault.kind, row, f'{fault}; left out.')
                continue
            except InvalidInputError as error:
                self._report('broken annotation', row, f'{error} Left out.')
                continue
            seen.add(same)
            if 'id' in row and (each['id'] is None or each['id'] in ids):
                renumber = True
                self._report('duplicate id', row, f'{name} has no id of its own; all are numbered '
                             'anew.')
            ids.add(each['id'])
            objects.append(each)
        if renumber or None in ids:
            for new, each in enumerate(objects, 1):
                each['id'] = new
        self._settle_crowds(objects)
        if self.rectangles and len(objects) >= ALIKE:
            self.part.report('rectangles', self.part.file, f'all {len(objects)} objects are '
                             'upright rectangles, as if made from boxes; a model learns them.')
        return objects

    def _settle_crowds(self, objects: list[dict]) -> None:
        """Report crowds; if all objects are crowds, none of them is meant to be one."""
        crowds = sum(each['iscrowd'] for each in objects)
        if objects and crowds == len(objects):
            self.part.report('all crowd', self.part.file, f'all {crowds} annotations have '
                             'iscrowd=1; they are read as single objects.')
            for each in objects:
                each['iscrowd'] = 0
        elif crowds:
            self.part.report('crowd', self.part.file, f'{crowds} of {len(objects)} annotations '
                             'have iscrowd=1 and are ignored as groups of objects. If they are '
                             'single objects, set it to 0.')
        if self.brushed:
            self.part.report('crowd', self.part.file, f'{self.brushed} annotations have iscrowd=1, '
                             'as CVAT writes all masks of its brush; they are read as single '
                             'objects.')

    def _read_object(self, row: Any, name: str, outline: Outline | None) -> dict | None:
        """An annotation with the name of its category; None if the image is lost."""
        if not isinstance(row, dict):
            raise Fault('broken annotation', f'{name} is {str(row)[:100]}')
        image = self.images.get(id_key(row.get('image_id')))
        if image is None:
            raise Fault('unknown image', f'{name} is of image {row.get("image_id")!r}, which is '
                        'not listed')
        category = self.categories.get(id_key(row.get('category_id')))
        if not image:
            return None
        if category is None:
            raise Fault('unknown category', f'{name} has the category {row.get("category_id")!r}, '
                        'which is not listed')
        segmentation, box = row.get('segmentation'), row.get('bbox')
        if not isinstance(segmentation, list | dict) or not segmentation:
            if box:
                raise Fault('box only', f'{name} has a box and no mask')
            raise Fault('no mask', f'{name} has no segmentation')
        if isinstance(segmentation, dict):
            segmentation, (x1, y1, x2, y2), area = self._read_runs(segmentation, image, name)
        else:
            if not outline or 'turn' in image:
                outline = self._read_polygons(segmentation, image, row, name)
            segmentation, (x1, y1, x2, y2), area = outline
            self._check_outline(outline, image, row, name)
        if _disagrees(box, x1, y1, x2, y2):
            self._report('box disagrees', row, f'the box of {name} is {[*map(round, box)]} (x, y, '
                         f'width, height), but its mask is at {[*map(round, (x1, y1, x2, y2))]} '
                         '(x1, y1, x2, y2); the mask is used.')
        self.rectangles &= area > 0.99 * (x2 - x1) * (y2 - y1)
        given = row.get('area')
        x1, y1, x2, y2 = max(x1, 0), max(y1, 0), min(x2, image['width']), min(y2, image['height'])
        found = dict(id=number(row.get('id')), image_id=image['id'], category_id=category,
                     segmentation=segmentation, bbox=[x1, y1, x2 - x1, y2 - y1],
                     area=float(given) if isinstance(given, int | float) and given > 0 else area,
                     iscrowd=int(row.get('iscrowd') in (1, '1')))
        more = row.get('attributes')
        if found['iscrowd'] and isinstance(more, dict) and 'occluded' in more:
            found['iscrowd'] = 0
            self.brushed += 1
        return found | {key: row[key] for key in KEPT if key in row}

    def _read_runs(self, code: dict, image: dict, name: str) -> tuple[dict, list[float], float]:
        """A compressed run-length encoding, its box (x1, y1, x2, y2) and its area."""
        size, turn = (image['height'], image['width']), image.get('turn')
        rle = segmentation_rle(code, size[::-1] if turn else size, name)
        if turn:
            mask = mask_tools.decode(rle)
            mask = {5: mask.T, 6: np.rot90(mask, -1), 7: np.rot90(mask, 2).T,
                    8: np.rot90(mask)}[turn]
            rle = mask_tools.encode(np.asfortranarray(mask))
        area = float(mask_tools.area(rle))
        if not area:
            raise Fault('no area', f'{name} covers no pixel')
        x, y, width, height = mask_tools.toBbox(rle).tolist()
        text = dict(size=[*map(int, rle['size'])], counts=rle['counts'].decode())
        return text, [x, y, x + width, y + height], area

    def _read_polygons(self, segmentation: list, image: dict, row: dict, name: str) -> Outline:
        """Polygons that can be used, turned with their image, their box and their area."""
        outlines = read_polygons(segmentation, name)
        kept = [each for each in outlines if len(each) >= 6]
        if not kept:
            raise Fault('few points', f'{name} has a polygon of fewer than 3 points')
        if len(kept) < len(outlines):
            self._report('few points', row, f'{name} has {len(outlines) - len(kept)} polygons of '
                         'fewer than 3 points, which are left out, and others.')
        if 'turn' in image:
            size = image['height'], image['width']
            kept = [turn_polygon(each, image['turn'], size) for each in kept]
        return next(measure_outlines([kept]))

    def _check_outline(self, outline: Outline, image: dict, row: dict, name: str) -> None:
        """Check that polygons cover a pixel of the image, and report those that lie beyond it."""
        (polygons, (x1, y1, x2, y2), area), width, height = outline, image['width'], image['height']
        if x2 <= 0 or y2 <= 0 or x1 >= width or y1 >= height:
            raise Fault('outside image', f'{name} lies outside its image')
        if min(x1, y1) < -BEYOND or x2 > width + BEYOND or y2 > height + BEYOND:
            self._report('outside image', row, f'{name} reaches beyond its image and is cut at the '
                         'border.')
        if area < SMALL and not mask_tools.area(segmentation_rle(polygons, (height, width), name)):
            raise Fault('no area', f'{name} covers no pixel (coordinates are in pixels)')

    def _check_counts(self) -> None:
        """Report images with no or too many objects."""
        counts = Counter(each['image_id'] for each in self.objects)
        largest = limit('objects')
        for image in self.rows:
            source, name, count = image.pop('source'), image['file_name'], counts[image['id']]
            image.pop('turn', None)
            if not count:
                self.part.report('no objects', source, f'{name} has no objects.', name)
            elif count > largest:
                self.part.report('too many objects', source, f'{name} has {count:,} objects, the '
                                 f'limit is {largest:,} (INSTBOX_MAX_OBJECTS); left out.')
        self.rows = [image for image in self.rows if counts[image['id']] <= largest]
        self.objects = [each for each in self.objects if counts[each['image_id']] <= largest]


def _disagrees(box: Any, x1: float, y1: float, x2: float, y2: float) -> bool:
    """Whether the IoU of a given box (x, y, width, height), if it is one, with another is small."""
    try:
        x, y, width, height = box
        both = max(min(x + width, x2) - max(x, x1), 0) * max(min(y + height, y2) - max(y, y1), 0)
        union = width * height + (x2 - x1) * (y2 - y1) - both
    except (TypeError, ValueError, OverflowError):  # no four numbers
        return False
    return 2 * both < union and union > SMALL and all(abs(each) < 1e9 for each in box)
