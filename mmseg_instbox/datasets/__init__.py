"""Data sets and their transforms. Names are imported when they are first used: the converters and
the readers of annotations do without MMSegmentation, whose import takes seconds."""
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .registered import *  # noqa: F403

_NAMES = (
    'CityscapesInstDataset', 'CocoAsVOCInstDataset', 'CocoInstDataset', 'InstBoxDataset',
    'InstCenterCrop', 'InstPad', 'LoadInstAnnotations', 'LoadInstImage', 'PackInstInputs',
    'ShapesDataset', 'VOCInstDataset')

__all__ = list(_NAMES)


def __getattr__(name: str) -> object:
    """Imports a name of this package."""
    if name not in _NAMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module('.registered', __name__), name)
