import logging
import os.path as osp
from pathlib import Path

from mmengine.logging import print_log
from mmseg.datasets import COCOStuffDataset
from mmseg.registry import DATASETS

from ..errors import InvalidInputError
from .annotation_formats.cleaning import clean
from .annotation_formats.reading import read_coco
from .coco_file import TABLES, find_rows, read_coco_file, read_coco_json
from .inst_box_dataset import InstBoxDataset
from .instance_maps import VOID
from .voc import VOCInstDataset
from .voc_layout import VOC_CLASSES, voc_palette

COCO_THINGS = tuple(COCOStuffDataset.METAINFO['classes'][:80])
RENAMED = dict(airplane='aeroplane', motorcycle='motorbike', couch='sofa', tv='tvmonitor') | {
    'dining table': 'diningtable', 'potted plant': 'pottedplant'}
COCO_TO_VOC = {name: RENAMED.get(name, name) for name in COCO_THINGS
               if RENAMED.get(name, name) in VOC_CLASSES}


@DATASETS.register_module()
class CocoInstDataset(InstBoxDataset):
    """COCO, or any data set with an instances JSON in COCO's format.

    Polygons and run-length encodings are painted when a sample is loaded: a smaller object lies
    over a larger one, crowds are void in both maps, and pixels of no object are background. The
    metainfo gets ``category_ids``: from the ids of the JSON to indices into ``thing_classes``; the
    samples get ``img_id``, the id of the image in the JSON. The JSON's categories are identified by
    name: two of one name are one category, and objects of one named 'background' are background (or
    ``others``).

    Args:
        ann_file: The JSON, relative to ``data_root``.
        metainfo: ``classes``, 'background' among them, for another choice of categories or another
            data set; by default COCO's 80.
        data_prefix: The folder ``img_path``, relative to ``data_root``.
        category_map: From names of the JSON to ``classes``, where they differ; several may go to
            one. Categories that it does not name are left out. By default a category keeps its
            name.
        others: What objects of the categories left out become: 'background' or 'void'.
        filter_cfg: ``filter_empty_gt=True`` leaves out images without an object.
        on_error: See ``InstBoxDataset``; 'skip' leaves out a faulty annotation alone, and an image
            only if it cannot be read.
        **kwargs: See ``InstBoxDataset``.

    Raises:
        ValueError: If the arguments or the JSON are wrong, or no image is left.
        FileNotFoundError: If the JSON or the folder is missing.
    """
    METAINFO = dict(
        classes=('background', *COCO_THINGS),
        palette=voc_palette()[:len(COCO_THINGS) + 1].tolist(),
        thing_classes=COCO_THINGS)
    CATEGORY_MAP: dict[str, str] | None = None

    def __init__(self,
                 ann_file: str,
                 metainfo: dict | None = None,
                 data_prefix: dict = dict(img_path='train2017'),
                 category_map: dict[str, str] | None = None,
                 others: str = 'background',
                 filter_cfg: dict | None = None,
                 **kwargs) -> None:
        metainfo = self._complete_metainfo(dict(metainfo or {}))
        classes = list((self.METAINFO | metainfo)['classes'])
        self.category_map = self._choose_category_map(category_map, classes)
        self.others = others
        if 'background' not in classes:
            raise InvalidInputError(f"{type(self).__name__} needs 'background' among its classes, "
                                    f'for the pixels of no object; got {classes}.')
        if others not in ('background', 'void'):
            raise InvalidInputError(f"others is '{others}', expected 'background' or 'void'.")
        if set(filter_cfg or {}) - {'filter_empty_gt'}:
            raise InvalidInputError(f'filter_cfg is {filter_cfg}; the only key known is '
                                    'filter_empty_gt.')
        super().__init__(ann_file=ann_file, metainfo=metainfo, data_prefix=data_prefix,
                         filter_cfg=filter_cfg, **kwargs)

    @classmethod
    def get_label_map(cls, new_classes: tuple[str, ...] | None = None) -> None:
        """No map from indices to indices: the categories of the JSON are found by their names."""

    def _complete_metainfo(self, metainfo: dict) -> dict:
        """Palette and things that fit the classes, when only those were given."""
        if 'classes' not in metainfo:
            return metainfo
        names = list(metainfo['classes'])
        colours = dict(zip(self.METAINFO['classes'], self.METAINFO['palette'], strict=True))
        return dict(palette=[colours[name] for name in names] if set(names) <= set(colours) else [],
                    thing_classes=tuple(name for name in names if name != 'background')) | metainfo

    def _choose_category_map(self, given: dict[str, str] | None,
                             classes: list[str]) -> dict[str, str]:
        """Name of the class for each name of the JSON that is wanted."""
        if given is None:
            known = self.CATEGORY_MAP or {name: name for name in classes if name != 'background'}
            return {old: new for old, new in known.items() if new in classes}
        wrong = sorted(set(given.values()) - set(classes))
        if wrong:
            raise InvalidInputError(f'category_map leads to {wrong}, which are not among the '
                                    f'classes {classes}.')
        return dict(given)

    def load_data_list(self) -> list[dict]:
        """List the images of the JSON: ``img_path``, ``img_id``, ``ann_file``, ``coco_shape``
        (height and width in the JSON), ``coco_objects`` as :func:`~.coco_masks.paint_objects` takes
        them, and what ``LoadInstAnnotations`` needs."""
        self._check_folders()
        content = self._read_file()
        if not content['images']:
            raise InvalidInputError(f'{self.ann_file}: no images are listed here.')
        categories = self._find_categories(content['categories'])
        things = self.thing_ids
        self._metainfo['category_ids'] = {number: things.index(category) for number, category
                                          in categories.items() if category in things}
        objects = {image['id']: [] for image in content['images']}
        for each in content['annotations']:
            category = categories[each['category_id']]
            if category is not None:
                objects[each['image_id']].append(dict(
                    id=each['id'], category=category, crowd=bool(each.get('iscrowd', 0)),
                    segmentation=each['segmentation']))
        common = dict(
            ann_file=self.ann_file, background=self._metainfo['classes'].index('background'),
            thing_ids=things, reduce_zero_label=self.reduce_zero_label)
        folder = self.data_prefix['img_path']
        return [dict(img_path=osp.join(folder, image['file_name'].replace('\\', '/')),
                     img_id=image['id'], coco_shape=(image['height'], image['width']),
                     coco_objects=objects[image['id']], seg_fields=[], **common)
                for image in content['images']]

    def _read_file(self) -> dict[str, list[dict]]:
        """The tables of the JSON; with ``on_error='skip'`` what of them can be used."""
        if self.on_error == 'raise':
            return read_coco_file(self.ann_file, self.backend_args)
        content = read_coco_json(self.ann_file, self.backend_args)
        for name in TABLES:
            find_rows(self.ann_file, content, name)
        found, = clean([read_coco(content, Path(self.ann_file), Path())], finder=None).values()
        problems = [each for each in found.problems
                    if each.kind not in ('no objects', 'empty category')]
        for problem in problems:
            print_log(f'{problem.kind}: {problem}', logger='current', level=logging.WARNING)
        print_log(f'{self.ann_file}: {len(problems)} problems; {len(found.coco["annotations"])} of '
                  f'{len(content["annotations"])} annotations are used.', logger='current')
        return found.coco

    def _find_categories(self, rows: list[dict]) -> dict[int, int | None]:
        """Category of each id of the JSON; None for those that are left out as background."""
        classes, wanted = list(self._metainfo['classes']), self.category_map
        names = {row['id']: row['name'] for row in rows}
        absent = sorted(set(wanted) - set(names.values()))
        if absent:
            raise InvalidInputError(f'{self.ann_file}: the file has no categories {absent}, but '
                                    f'only {sorted(set(names.values()))}. Correct classes or '
                                    'category_map.')
        other = VOID if self.others == 'void' else None
        return {number: classes.index(wanted[name]) if name in wanted else other
                for number, name in names.items()}

    def filter_data(self) -> list[dict]:
        """Leave out images without an object (``filter_cfg``) and faulty ones (``on_error``)."""
        if (self.filter_cfg or {}).get('filter_empty_gt'):
            self.data_list = [info for info in self.data_list if any(
                not each['crowd'] and each['category'] != VOID for each in info['coco_objects'])]
            if not self.data_list:
                raise InvalidInputError(f'{self.ann_file}: no image has an object of the classes '
                                        f'{tuple(self._metainfo["thing_classes"])}.')
        return super().filter_data()


@DATASETS.register_module()
class CocoAsVOCInstDataset(CocoInstDataset):
    """COCO with the categories of PASCAL VOC, to train on before VOC.

    The objects of COCO's other 60 categories are background, as they are in VOC.
    """
    METAINFO = VOCInstDataset.METAINFO
    CATEGORY_MAP = COCO_TO_VOC
