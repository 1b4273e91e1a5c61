"""Crop, pad and resize the instance map together with the image."""
import copy

import mmcv
import mmseg.datasets.transforms as mmseg_transforms
import numpy as np
from mmcv.image.geometric import rescale_size
from mmcv.transforms import CenterCrop, Pad
from mmseg.datasets.transforms import RandomCrop
from mmseg.registry import TRANSFORMS

from ...errors import InvalidInputError
from ..instance_maps import VOID, object_boxes


@TRANSFORMS.register_module()
class FullBoxRandomCrop(RandomCrop):
    """Crop at random, and remember the boxes that the objects had before.

    Extends mmseg's ``RandomCrop``. ``PackInstInputs`` then packs the boxes of the whole objects,
    which may reach beyond the crop, instead of those of the parts that it shows. Transforms that
    move pixels come before the crop; a rotation cuts corners off and is refused with it.

    Added keys: ``gt_full_boxes``, a pair of ids (N,) int64 and boxes (N, 4) float32 in pixels of
    the crop, of the N objects of the image before the (first) crop.

    Args:
        crop_size: (height, width) of the crop, or an int for both.
        cat_max_ratio, ignore_index: See mmseg's ``RandomCrop``.
    """

    def crop_bbox(self, results: dict) -> tuple[int, int, int, int]:
        """Draw a crop (top, bottom, left, right) and move the full boxes with it."""
        crop = super().crop_bbox(results)
        if 'gt_inst_map' in results:
            ids, boxes = results.get('gt_full_boxes') or object_boxes(results['gt_inst_map'])
            top, _, left, _ = crop
            results['gt_full_boxes'] = ids, boxes - np.float32([left, top, left, top])
        return crop


@TRANSFORMS.register_module()
class InstCenterCrop(CenterCrop):
    """Crop the centre of the image and of every map in ``seg_fields``.

    Extends mmcv's ``CenterCrop``, which crops ``gt_seg_map`` only.

    Args:
        crop_size: Size of the crop (width, height) in pixels, or an int for both.
        auto_pad: Whether to pad an image that is smaller than the crop.
        pad_cfg: Config of the padding; its type must be ``InstPad``.

    Raises:
        ValueError: If ``pad_cfg`` names another transform.
    """

    def __init__(self,
                 crop_size: int | tuple[int, int],
                 auto_pad: bool = False,
                 pad_cfg: dict = dict(type='InstPad')) -> None:
        if pad_cfg.get('type') != 'InstPad':
            raise InvalidInputError(f'InstCenterCrop got pad_cfg={pad_cfg}: only InstPad pads the '
                                    "instance map; use pad_cfg=dict(type='InstPad').")
        super().__init__(crop_size, auto_pad=auto_pad, pad_cfg=pad_cfg)

    def _crop_seg_map(self, results: dict, bboxes: np.ndarray) -> None:
        for key in results.get('seg_fields', []):
            results[key] = mmcv.imcrop(results[key], bboxes=bboxes)


@TRANSFORMS.register_module()
class InstPad(Pad):
    """Pad the image, and every map in ``seg_fields`` with void.

    Extends mmcv's ``Pad``, which pads ``gt_seg_map`` only. The maps are padded with 255 whatever
    the ``padding_mode``: a mirrored object would be a second part of the same instance. A
    ``pad_val`` with another value for the maps raises ValueError.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        value = self.pad_val.get('seg', VOID)
        if value != VOID:
            raise InvalidInputError(f'InstPad got pad_val={self.pad_val}: the maps are padded with '
                                    'void (255); leave out seg.')

    def _pad_seg(self, results: dict) -> None:
        for key in results.get('seg_fields', []):
            results[key] = mmcv.impad(results[key], shape=results['pad_shape'][:2], pad_val=VOID)


@TRANSFORMS.register_module(force=True)
class Resize(mmseg_transforms.Resize):
    """Resize an image and its maps to at least one pixel a side, however thin they are.

    Extends mmseg's ``Resize`` and takes its place in the registry: with ``keep_ratio``, that one
    rounds the short side of an image whose sides differ by a factor of several hundred to 0 pixels,
    at which OpenCV fails. ``RandomResize``, ``RandomChoiceResize`` and ``ResizeShortestEdge`` use
    it. Arguments and keys are those of mmseg's.
    """

    def transform(self, results: dict) -> dict:
        """Resize what ``results`` holds."""
        size = results['img'].shape[1::-1]
        scale = self.scale or tuple(int(side * factor + 0.5) for side, factor in
                                    zip(size, self.scale_factor, strict=True))
        if self.keep_ratio and min(scale) >= 1:
            scale = rescale_size(size, tuple(scale))
        if min(scale) >= 1:
            return super().transform(results)
        at_least_one = copy.copy(self)
        at_least_one.scale, at_least_one.keep_ratio = tuple(max(side, 1) for side in scale), False
        return super(Resize, at_least_one).transform(results)
