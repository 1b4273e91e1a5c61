"""Check annotations, repair what can be repaired and leave out what cannot be used."""
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as mask_tools

from ...utils.limits import limit
from .annotated_images import AnnotatedImages, Annotations, Problem, id_key, number
from .categories import category_rows, read_categories
from .image_finder import ImageFinder
from .image_table import ImageTable
from .segmentations import Fault, polygon_area, read_code, read_points, turn_points

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
        self.part, self.root = part, finder.root if finder else Path()
        self.problems = [*part.problems]
        self.categories = read_categories(part, self.report)
        self.images = ImageTable(part, finder, need_images, self.report)

    def clean(self) -> AnnotatedImages:
        objects = self._read_objects()
        rows = self.images.number_images()
        self._check_counts(rows, objects)
        if not objects and self.part.split in ('train', 'all'):
            self.report('nothing to train on', self.part.file,
                        f'{len(rows)} images and no object that can be used.')
        coco = dict(images=rows, annotations=objects,
                    categories=category_rows(self.part, self.categories, objects, self.report))
        return AnnotatedImages(self.root, coco, self.problems)

    def report(self, kind: str, file: str, message: str, image: str = '') -> None:
        self.problems.append(Problem(kind, file, message, image))

    def _report_row(self, kind: str, row: Any, message: str) -> None:
        """Report a problem of an annotation."""
        image = self.images.get(row.get('image_id')) if isinstance(row, dict) else None
        source = (image or {}).get('source', self.part.file)
        self.report(kind, source, message, (image or {}).get('file_name', ''))

    def _read_objects(self) -> list[dict]:
        objects, crowds = [], 0
        ids: set[int] = set()
        seen: set[tuple] = set()
        renumbered = False
        for position, row in enumerate(self.part.annotations, 1):
            self.part.annotations[position - 1] = None  # a large file would need its memory twice
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
        image = self.images.get(row.get('image_id'))
        if image is None:
            raise Fault('unknown image', f'is of image {row.get("image_id")!r}, which is not '
                         'listed; left out')
        category = self.categories.get(id_key(row.get('category_id')))
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
        points = kept[0] if len(kept) == 1 else np.concatenate(kept)
        low, high = points.min(axis=0).tolist(), points.max(axis=0).tolist()
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
