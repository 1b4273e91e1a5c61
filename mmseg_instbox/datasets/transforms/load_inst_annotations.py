import numpy as np
from mmseg.datasets.transforms import LoadAnnotations
from mmseg.registry import TRANSFORMS

from mmseg_instbox.errors import InvalidInputError

from ..coco_masks import paint_objects
from ..instance_maps import (
    VOID,
    category_lookup,
    check_objects,
    check_same_size,
    map_categories,
    split_coded_ids,
    void_groups,
)
from .mask_file import read_mask


@TRANSFORMS.register_module()
class LoadInstAnnotations(LoadAnnotations):
    """Load the category map and the instance map of an image, however the sample stores them.

    Extends mmseg's ``LoadAnnotations``. A sample has either two masks (VOC), one mask whose values
    code category and object (``id_divisor``, Cityscapes), or a list of outlines (``coco_objects``,
    COCO). A pixel that is void in the category map, also because its category was left out of
    ``classes``, becomes void in the instance map. Results without annotations (an image to predict
    on) pass unchanged.

    Required keys: ``num_classes``, ``thing_ids``, ``seg_fields``, and ``seg_map_path`` and
    ``inst_map_path`` with ``label_map``, ``reduce_zero_label`` and, for coded masks,
    ``id_divisor``; or ``coco_objects`` with ``coco_shape``, ``background`` and ``ann_file``.
    Added keys: ``gt_seg_map`` (H, W) uint8 and ``gt_inst_map`` (H, W) int32 (0 none, 255 void),
    both named in ``seg_fields``; ``gt_at_ori_shape``, whether the image had another size than its
    annotations when they were loaded, as in a test pipeline that resizes first.

    Args:
        backend_args: Arguments of mmengine's file backend.
    """

    def __init__(self, backend_args: dict | None = None) -> None:
        super().__init__(backend_args=backend_args)

    def transform(self, results: dict) -> dict:
        """Load both maps.

        Raises:
            FileNotFoundError: If a mask is missing.
            ValueError: If a mask is broken, has another size than its image, holds an index that
                is no category, or an object that has not exactly one thing category; or an outline
                is broken.
        """
        if 'coco_objects' in results:
            load = _paint_objects
        elif results.get('seg_map_path') is None and results.get('inst_map_path') is None:
            return results
        else:
            _check_keys(results)
            load = self._read_coded if results.get('id_divisor') else self._read_masks
        results['gt_seg_map'], results['gt_inst_map'] = load(results)
        results['seg_fields'] += ['gt_seg_map', 'gt_inst_map']
        if 'ori_shape' in results:
            results['gt_at_ori_shape'] = results['img'].shape[:2] != results['ori_shape'][:2]
        return results

    def _read_masks(self, results: dict) -> tuple[np.ndarray, np.ndarray]:
        stored = self._read_categories(results)
        seg_map = map_categories(stored, _lookup(results), results['seg_map_path'])
        return seg_map, self._read_objects(results, seg_map, stored == VOID)

    def _read_coded(self, results: dict) -> tuple[np.ndarray, np.ndarray]:
        path = results['seg_map_path']
        stored, inst_map = split_coded_ids(self._read_categories(results), results['id_divisor'])
        seg_map = map_categories(stored, _lookup(results), path)
        return seg_map, void_groups(seg_map, inst_map, results['thing_ids'])

    def _read_categories(self, results: dict) -> np.ndarray:
        path = results['seg_map_path']
        stored = read_mask(path, 'category mask', self.backend_args)
        if 'ori_shape' in results:
            check_same_size(stored.shape, results['ori_shape'], path, 'its image')
        return stored

    def _read_objects(self, results: dict, seg_map: np.ndarray,
                      stored_void: np.ndarray) -> np.ndarray:
        path = results['inst_map_path']
        inst_map = read_mask(path, 'instance mask', self.backend_args)
        check_same_size(inst_map.shape, seg_map.shape, path, 'the category mask')
        # First only what label_map makes void: an object stored on void alone is an error.
        inst_map[(seg_map == VOID) & ~stored_void] = VOID
        check_objects(seg_map, inst_map, results['thing_ids'], path)
        inst_map[seg_map == VOID] = VOID
        return inst_map


def _paint_objects(results: dict) -> tuple[np.ndarray, np.ndarray]:
    where = f'{results["ann_file"]}: {results["img_path"]}'
    shape = results['coco_shape']
    if 'ori_shape' in results:
        check_same_size(shape, results['ori_shape'], where, 'the image file')
    return paint_objects(results['coco_objects'], shape, results['background'],
                         results['thing_ids'], where)


def _lookup(results: dict) -> np.ndarray:
    return category_lookup(results['num_classes'], results.get('label_map'),
                           results.get('reduce_zero_label', False))


def _check_keys(results: dict) -> None:
    needed = ('seg_map_path', 'inst_map_path', 'num_classes', 'thing_ids', 'seg_fields')
    missing = [key for key in needed if results.get(key) is None]
    if missing:
        raise InvalidInputError(f'LoadInstAnnotations misses {missing} for '
                                f'{results.get("img_path")}. Use InstBoxDataset (or a subclass), '
                                'which provides them.')
