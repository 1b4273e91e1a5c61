"""Crop and pad the instance map together with the image."""
import mmcv
import numpy as np
from mmcv.transforms import CenterCrop, Pad
from mmseg.datasets.transforms import RandomCrop
from mmseg.registry import TRANSFORMS

from mmseg_instbox.errors import InvalidInputError

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
        cat_max_ratio: See mmseg's ``RandomCrop``.
        ignore_index: See mmseg's ``RandomCrop``.
    """

    def crop_bbox(self, results: dict) -> tuple[int, int, int, int]:
        """Draw a crop and move the full boxes with it.

        Args:
            results: Results of the pipeline; gets ``gt_full_boxes`` if it has ``gt_inst_map``.

        Returns:
            tuple: Top, bottom, left and right of the crop.
        """
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
                 pad_cfg: dict | None = None) -> None:
        pad_cfg = dict(type='InstPad') if pad_cfg is None else pad_cfg
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
    the ``padding_mode``: a mirrored object would be a second part of the same instance.

    Args:
        *args: See mmcv's ``Pad``.
        **kwargs: See mmcv's ``Pad``.

    Raises:
        ValueError: If ``pad_val`` asks for another value than 255 for the maps.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        value = self.pad_val.get('seg', VOID)
        if value != VOID:
            raise InvalidInputError(f'InstPad got pad_val={self.pad_val}: the maps are padded with '
                                    'void (255); leave out seg.')

    def _pad_seg(self, results: dict) -> None:
        for key in results.get('seg_fields', []):
            results[key] = mmcv.impad(
                results[key], shape=results['pad_shape'][:2], pad_val=VOID)
