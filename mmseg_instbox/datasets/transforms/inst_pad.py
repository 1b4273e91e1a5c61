import mmcv
from mmcv.transforms import Pad
from mmseg.registry import TRANSFORMS

from mmseg_instbox.errors import InvalidInputError

from ..instance_maps import VOID


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
