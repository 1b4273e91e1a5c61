from ...core.groupers import BoxNMSGrouper, CentreGrouper, PixelBoxGrouper
from .bootstrap_pixel_sampler import BootstrapPixelSampler
from .box_coders import CornerBoxCoder, PixelBoxCoder
from .groupers import to_instance_data
