import numpy as np
from mmseg.datasets.transforms import LoadAnnotations
from mmseg.registry import TRANSFORMS

from ..instance_maps import VOID, category_lookup, check_objects, check_same_size, map_categories
from .mask_file import read_mask


@TRANSFORMS.register_module()
class LoadInstAnnotations(LoadAnnotations):
    """Load the category mask and the instance mask of an image.

    Extends mmseg's ``LoadAnnotations``. A pixel that is void in the category map, also because its
    category was left out of ``classes``, becomes void in the instance map. Results without
    annotations (an image to predict on) pass unchanged.

    Required keys: ``seg_map_path`` and ``inst_map_path`` (or neither), ``num_classes``,
    ``thing_ids``, ``label_map``, ``reduce_zero_label``, ``seg_fields``. Added keys: ``gt_seg_map``
    (H, W) uint8 and ``gt_inst_map`` (H, W) int32 (0 none, 255 void), both named in ``seg_fields``;
    ``gt_at_ori_shape``, whether the image had another size than its annotations when they were
    loaded, as in a test pipeline that resizes first.

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
                is no category, or an object that has not exactly one thing category.
        """
        if results.get('seg_map_path') is None and results.get('inst_map_path') is None:
            return results
        _check_keys(results)
        stored = self._read_categories(results)
        results['gt_seg_map'] = map_categories(stored, _lookup(results), results['seg_map_path'])
        results['gt_inst_map'] = self._read_objects(results, stored == VOID)
        results['seg_fields'] += ['gt_seg_map', 'gt_inst_map']
        if 'ori_shape' in results:
            results['gt_at_ori_shape'] = results['img'].shape[:2] != results['ori_shape'][:2]
        return results

    def _read_categories(self, results: dict) -> np.ndarray:
        path = results['seg_map_path']
        stored = read_mask(path, 'category mask', self.backend_args)
        if 'ori_shape' in results:
            check_same_size(stored.shape, results['ori_shape'], path, 'its image')
        return stored

    def _read_objects(self, results: dict, stored_void: np.ndarray) -> np.ndarray:
        path, seg_map = results['inst_map_path'], results['gt_seg_map']
        inst_map = read_mask(path, 'instance mask', self.backend_args)
        check_same_size(inst_map.shape, seg_map.shape, path, 'the category mask')
        # First only what label_map makes void: an object stored on void alone is an error.
        inst_map[(seg_map == VOID) & ~stored_void] = VOID
        check_objects(seg_map, inst_map, results['thing_ids'], path)
        inst_map[seg_map == VOID] = VOID
        return inst_map


def _lookup(results: dict) -> np.ndarray:
    return category_lookup(results['num_classes'], results.get('label_map'),
                           results.get('reduce_zero_label', False))


def _check_keys(results: dict) -> None:
    needed = ('seg_map_path', 'inst_map_path', 'num_classes', 'thing_ids', 'seg_fields')
    missing = [key for key in needed if results.get(key) is None]
    if missing:
        raise ValueError(f'LoadInstAnnotations misses {missing} for {results.get("img_path")}. Use '
                         'InstBoxDataset (or a subclass), which provides them.')
