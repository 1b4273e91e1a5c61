"""Data sets and their transforms. Names are imported when they are first used: the converters and
the readers of annotations do without MMSegmentation, whose import takes seconds."""
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .annotation_formats import AnnotatedImages, Problem, read_annotations
    from .registered import *  # noqa: F403

_READERS = ('AnnotatedImages', 'Problem', 'read_annotations')
_REGISTERED = (
    'CityscapesInstDataset', 'CocoAsVOCInstDataset', 'CocoInstDataset', 'InstBoxDataset',
    'InstCenterCrop', 'InstPad', 'LoadInstAnnotations', 'LoadInstImage', 'PackInstInputs',
    'ShapesDataset', 'VOCInstDataset')

__all__ = [*_READERS, *_REGISTERED]


def __getattr__(name: str) -> object:
    """Imports a name of this package."""
    if name not in __all__:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    module = '.annotation_formats' if name in _READERS else '.registered'
    return getattr(import_module(module, __name__), name)
