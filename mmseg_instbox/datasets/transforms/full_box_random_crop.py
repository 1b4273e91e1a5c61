import numpy as np
from mmseg.datasets.transforms import RandomCrop
from mmseg.registry import TRANSFORMS

from ..instance_maps import object_boxes


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
