import numpy as np
import torch
from mmengine.structures import InstanceData, PixelData
from mmseg.datasets.transforms import PackSegInputs
from mmseg.registry import TRANSFORMS

from ...errors import InvalidInputError
from ..coco_masks import describe_objects
from ..instance_maps import check_objects, object_boxes

META_KEYS = ('img_path', 'img_id', 'seg_map_path', 'inst_map_path', 'ori_shape', 'img_shape',
             'pad_shape', 'scale_factor', 'flip', 'flip_direction', 'reduce_zero_label')


@TRANSFORMS.register_module()
class PackInstInputs(PackSegInputs):
    """Pack the image and its annotations into a data sample.

    Extends mmseg's ``PackSegInputs``, which packs ``inputs`` (3, H, W) and ``gt_sem_seg``
    (1, H, W) int64, with ``gt_inst_map`` (1, H, W) int32 and ``gt_instances``: ``ids`` (N,) int64,
    ``labels`` (N,) int64 indices into ``thing_classes`` and ``bboxes`` (N, 4) float32, the boxes of
    what is visible in the map as it is now; or, after ``FullBoxRandomCrop``, of the whole objects.
    Without annotations only the image is packed.

    For metrics of mmdet, a sample without ``img_id`` gets its index in the data set as such, and
    one whose maps have the original image's size gets ``instances``, a list that describes its
    objects, see :func:`~mmseg_instbox.datasets.coco_masks.describe_object`.

    Args:
        meta_keys: Keys of the results that become meta information of the data sample.

    Raises:
        ValueError: If the maps and the image no longer fit together.
    """

    def __init__(self, meta_keys: tuple[str, ...] = META_KEYS) -> None:
        super().__init__(meta_keys=meta_keys)

    def transform(self, results: dict) -> dict:
        """Pack the results as ``inputs`` and ``data_samples``."""
        if 'sample_idx' in results:
            results.setdefault('img_id', results['sample_idx'])
        if 'gt_seg_map' not in results and 'gt_inst_map' not in results:
            return super().transform(results)
        _check_maps(results)
        packed = super().transform(results)
        sample = packed['data_samples']
        inst_map, thing_ids = results['gt_inst_map'], list(results['thing_ids'])
        ids, boxes = object_boxes(inst_map)
        try:
            categories = check_objects(results['gt_seg_map'], inst_map, thing_ids, 'gt_inst_map')
        except ValueError as error:
            raise InvalidInputError(f'{_name(results)}: after the transforms the category map and '
                                    f'the instance map disagree ({error})') from error
        labels = np.array([thing_ids.index(each) for each in categories], np.int64)
        if 'gt_full_boxes' in results:
            boxes = _full_boxes(results, ids, boxes)
        if inst_map.shape == tuple(results['ori_shape'][:2]):
            sample.instances = describe_objects(inst_map, ids, labels)
        sample.gt_inst_map = PixelData(data=torch.from_numpy(inst_map.copy())[None])
        sample.gt_instances = InstanceData(
            ids=torch.from_numpy(ids), labels=torch.from_numpy(labels),
            bboxes=torch.from_numpy(boxes))
        return packed


def _full_boxes(results: dict, ids: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """The remembered boxes (N, 4) of some objects, of which (N, 4) boxes are still visible."""
    known, boxes = results['gt_full_boxes']
    boxes = boxes[np.isin(known, ids)]
    # a transform after the crop has moved the map if a visible part lies outside of its object
    if len(boxes) != len(ids) or (visible[:, :2] < boxes[:, :2]).any() or (
            visible[:, 2:] > boxes[:, 2:]).any():
        raise InvalidInputError(f'{_name(results)}: a transform after FullBoxRandomCrop moved the '
                                'objects and not their boxes. Put it before FullBoxRandomCrop.')
    return boxes


def _name(results: dict) -> str:
    return str(results.get('img_path') or results.get('inst_map_path'))


def _check_maps(results: dict) -> None:
    """Refuse maps of which one is missing, or that were not changed as the image was."""
    missing = [key for key in ('gt_seg_map', 'gt_inst_map', 'thing_ids') if key not in results]
    if missing:
        raise InvalidInputError(f'{_name(results)}: PackInstInputs misses {missing}. Load the '
                                'annotations with LoadInstAnnotations and use InstBoxDataset.')
    if len(results.get('ori_shape', (0, 0))) != 2:
        # Only mosaic leaves a shape of three numbers here; its parts use the same object ids.
        raise InvalidInputError(f'{_name(results)}: the image was put together by RandomMosaic, '
                                'which mixes up object ids. Leave RandomMosaic out.')
    original = results.get('gt_at_ori_shape', False)
    expected = results['ori_shape'] if original else results['img'].shape
    for key in ('gt_seg_map', 'gt_inst_map'):
        if results[key].shape[:2] != tuple(expected[:2]):
            raise InvalidInputError(
                f'{_name(results)}: at packing {key} is {results[key].shape[:2]} (height, width), '
                f'but {"the original image" if original else "the image"} is '
                f'{tuple(expected[:2])}. A transform of the pipeline changed one and not the '
                "other; replace it by one that handles all of results['seg_fields'].")
