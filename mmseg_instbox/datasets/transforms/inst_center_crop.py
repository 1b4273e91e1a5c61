import mmcv
import numpy as np
from mmcv.transforms import CenterCrop
from mmseg.registry import TRANSFORMS

from mmseg_instbox.errors import InvalidInputError


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
