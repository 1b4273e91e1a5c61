"""Data sets and their transforms. Names are imported when they are first used: the converters and
the readers of annotations do without MMSegmentation, whose import takes seconds."""
from typing import TYPE_CHECKING

from ..utils.lazy_names import lazy_names

if TYPE_CHECKING:
    from .annotation_formats import AnnotatedImages, Problem, read_annotations
    from .cityscapes import CityscapesInstDataset
    from .coco import CocoAsVOCInstDataset, CocoInstDataset
    from .inst_box_dataset import InstBoxDataset
    from .transforms import (
        InstCenterCrop,
        InstPad,
        LoadInstAnnotations,
        LoadInstImage,
        PackInstInputs,
    )
    from .voc import ShapesDataset, VOCInstDataset

__getattr__, __all__ = lazy_names(__name__)
