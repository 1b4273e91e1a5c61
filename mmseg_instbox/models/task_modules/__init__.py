from .bootstrap_pixel_sampler import BootstrapPixelSampler
from .box_nms_grouper import BoxNMSGrouper
from .centre_grouper import CentreGrouper
from .corner_box_coder import CornerBoxCoder
from .pixel_box_coder import PixelBoxCoder
from .pixel_box_grouper import PixelBoxGrouper

__all__ = [
    'BootstrapPixelSampler', 'BoxNMSGrouper', 'CentreGrouper', 'CornerBoxCoder',
    'PixelBoxCoder', 'PixelBoxGrouper'
]
