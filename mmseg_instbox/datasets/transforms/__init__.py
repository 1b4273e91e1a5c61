from .formatting import PackInstInputs
from .loading import CachedLoading, LoadInstAnnotations, LoadInstImage
from .transforms import FullBoxRandomCrop, InstCenterCrop, InstPad, Resize

__all__ = [
    'CachedLoading', 'FullBoxRandomCrop', 'InstCenterCrop', 'InstPad', 'LoadInstAnnotations',
    'LoadInstImage', 'PackInstInputs', 'Resize'
]
