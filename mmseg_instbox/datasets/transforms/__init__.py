from .formatting import PackInstInputs
from .loading import CachedLoading, LoadInstAnnotations, LoadInstImage
from .transforms import FullBoxRandomCrop, InstCenterCrop, InstPad, Resize
