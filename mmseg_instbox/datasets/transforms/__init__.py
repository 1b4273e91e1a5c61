from .formatting import PackInstInputs
from .loading import LoadInstAnnotations, LoadInstImage
from .transforms import FullBoxRandomCrop, InstCenterCrop, InstPad, Resize

__all__ = [
    'FullBoxRandomCrop', 'InstCenterCrop', 'InstPad', 'LoadInstAnnotations', 'LoadInstImage',
    'PackInstInputs', 'Resize'
]
