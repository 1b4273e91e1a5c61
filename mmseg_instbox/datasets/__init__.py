"""Data sets and their transforms. Names are imported when they are first used: the converters and
the readers of annotations do without MMSegmentation, whose import takes seconds."""
from typing import TYPE_CHECKING

from ..utils.lazy_names import lazy_names

if TYPE_CHECKING:
    from .annotation_formats import AnnotatedImages, Problem, read_annotations
    from .registered import *  # noqa: F403

__getattr__, __all__ = lazy_names(__name__, {
    '.annotation_formats': ['AnnotatedImages', 'Problem', 'read_annotations'],
    '.registered': [
        'CityscapesInstDataset', 'CocoAsVOCInstDataset', 'CocoInstDataset', 'InstBoxDataset',
        'InstCenterCrop', 'InstPad', 'LoadInstAnnotations', 'LoadInstImage', 'PackInstInputs',
        'ShapesDataset', 'VOCInstDataset'],
})
