from .bootstrap_pixel_sampler import BootstrapPixelSampler
from .pixel_box_coder import PixelBoxCoder
from .pixel_box_grouper import PixelBoxGrouper

__all__ = ['BootstrapPixelSampler', 'PixelBoxCoder', 'PixelBoxGrouper']
