from collections.abc import Callable, Iterator

import mmcv.transforms as mmcv_transforms
import mmseg.datasets.transforms as mmseg_transforms

from ...errors import InvalidInputError
from .transforms import FullBoxRandomCrop

# Transforms that leave gt_inst_map behind or spoil it, and what to use. Found in the sources of
# mmcv 2.3.6 and mmseg 1.4.2; a subclass that handles results['seg_fields'] is not meant.
REFUSED: dict[type, str] = {
    mmcv_transforms.LoadImageFromFile: 'decodes truncated images silently; use LoadInstImage',
    mmcv_transforms.LoadAnnotations: 'loads no instance map; use LoadInstAnnotations',
    mmseg_transforms.LoadAnnotations: 'loads no instance map; use LoadInstAnnotations',
    mmseg_transforms.PackSegInputs: 'packs no instances; use PackInstInputs',
    mmcv_transforms.Pad: 'does not pad gt_inst_map; use InstPad',
    mmcv_transforms.CenterCrop: 'does not crop gt_inst_map; use InstCenterCrop',
    mmcv_transforms.Resize: "does not resize gt_inst_map; use mmseg's Resize (set the default "
                            "scope to 'mmseg')",
    mmcv_transforms.RandomFlip: "does not flip gt_inst_map; use mmseg's RandomFlip (set the "
                                "default scope to 'mmseg')",
    mmseg_transforms.RandomRotFlip: 'interpolates between labels; use RandomRotate and '
                                    'RandomFlip',
    mmseg_transforms.RandomMosaic: 'mixes up the object ids of its images; leave it out',
    mmseg_transforms.Albu: 'does not transform gt_inst_map; use RandomResize, RandomCrop, '
                           'RandomFlip, RandomRotate or PhotoMetricDistortion',
}

# Transforms that move pixels and know nothing of the boxes that FullBoxRandomCrop remembers.
MOVING = (mmcv_transforms.CenterCrop, mmcv_transforms.RandomFlip, mmcv_transforms.Resize,
          mmseg_transforms.RandomCrop, mmseg_transforms.ResizeShortestEdge,
          mmseg_transforms.ResizeToMultiple)


def check_pipeline(transforms: Callable | list | tuple) -> None:
    """Refuse a pipeline that would silently spoil the instance map.

    Args:
        transforms: A transform, a ``Compose`` or a list of them, already built.

    Raises:
        ValueError: If a transform, also one inside a wrapper, does not carry ``gt_inst_map``, or
            spoils the boxes of ``FullBoxRandomCrop``.
    """
    transforms = list(_walk(transforms))
    cropped = False
    for transform in transforms:
        name = type(transform).__name__
        reason = REFUSED.get(type(transform)) or _refused_option(transform)
        if reason:
            raise InvalidInputError(f'{name} cannot be used with instance maps: it {reason}.')
        is_crop = isinstance(transform, FullBoxRandomCrop)
        if cropped and isinstance(transform, MOVING) and not is_crop:
            raise InvalidInputError(f'{name} cannot come after FullBoxRandomCrop: it would not '
                                    'move the boxes; put it before the crop.')
        cropped |= is_crop
    if cropped and any(isinstance(each, mmseg_transforms.RandomRotate) for each in transforms):
        raise InvalidInputError('RandomRotate cannot be used with FullBoxRandomCrop: the corners '
                                'that it cuts off are lost to the boxes; leave one of them out.')


def _walk(node: object) -> Iterator[object]:
    """All transforms in a tree of lists and wrappers (Compose, RandomApply, RandomResize, ...)."""
    if isinstance(node, (list, tuple)):
        for child in node:
            yield from _walk(child)
        return
    yield node
    for name in ('transforms', 'subroutines', 'resize'):
        child = getattr(node, name, None)
        if isinstance(child, (list, tuple)) or callable(child):
            yield from _walk(child)


def _refused_option(transform: object) -> str | None:
    if isinstance(transform, mmseg_transforms.Resize) and transform.backend != 'cv2':
        return f"resizes no int32 map with backend='{transform.backend}'; use backend='cv2'"
    for kind, option in ((mmseg_transforms.RandomCutOut, 'seg_fill_in'),
                         (mmseg_transforms.RandomRotate, 'seg_pad_val')):
        value = getattr(transform, option) if isinstance(transform, kind) else None
        if value not in (None, 0, 255):
            return f'would write the id {value} into gt_inst_map; use {option}=255'
    if isinstance(transform, mmseg_transforms.RandomFlip) and transform.swap_seg_labels:
        return 'would swap object ids with swap_seg_labels; leave swap_seg_labels out'
    return None
