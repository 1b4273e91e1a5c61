from collections.abc import Callable, Iterator

import mmcv.transforms as mmcv_transforms
import mmseg.datasets.transforms as mmseg_transforms

from mmseg_instbox.errors import InvalidInputError

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
    mmseg_transforms.BioMedical3DRandomCrop: 'does not crop gt_inst_map; use RandomCrop',
    mmseg_transforms.BioMedical3DPad: 'does not pad gt_inst_map; use InstPad',
    mmseg_transforms.BioMedical3DRandomFlip: 'does not flip gt_inst_map; use RandomFlip',
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
    for transform in transforms:
        reason = REFUSED.get(type(transform)) or _refused_option(transform)
        if reason:
            raise InvalidInputError(f'{type(transform).__name__} cannot be used with instance '
                                    f'maps: it {reason}.')
    _check_full_boxes(transforms)


def _check_full_boxes(transforms: list) -> None:
    crops = [isinstance(transform, FullBoxRandomCrop) for transform in transforms]
    if not any(crops):
        return
    for transform in transforms[crops.index(True):]:
        if isinstance(transform, MOVING) and not isinstance(transform, FullBoxRandomCrop):
            raise InvalidInputError(f'{type(transform).__name__} cannot come after '
                                    'FullBoxRandomCrop: it would not move the boxes; put it before '
                                    'the crop.')
    if any(isinstance(transform, mmseg_transforms.RandomRotate) for transform in transforms):
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
    if isinstance(transform, mmseg_transforms.RandomCutOut) and _is_object(transform.seg_fill_in):
        return f'would write the id {transform.seg_fill_in} into gt_inst_map; use seg_fill_in=255'
    if isinstance(transform, mmseg_transforms.RandomRotate) and _is_object(transform.seg_pad_val):
        return f'would write the id {transform.seg_pad_val} into gt_inst_map; use seg_pad_val=255'
    if isinstance(transform, mmseg_transforms.RandomFlip) and transform.swap_seg_labels:
        return 'would swap object ids with swap_seg_labels; leave swap_seg_labels out'
    return None


def _is_object(value: int | None) -> bool:
    return value not in (None, 0, 255)
