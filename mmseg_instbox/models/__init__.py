from .backbones import FCRNResNet
from .box_heads import PixelBoxHead
from .data_preprocessors import InstBoxDataPreProcessor
from .decode_heads import FCRNHead
from .losses import SmoothL1Loss
from .segmentors import InstBoxSegmentor
from .task_modules import (
    BootstrapPixelSampler,
    BoxNMSGrouper,
    CentreGrouper,
    PixelBoxCoder,
    PixelBoxGrouper,
)

__all__ = [
    'BootstrapPixelSampler', 'BoxNMSGrouper', 'CentreGrouper', 'FCRNHead', 'FCRNResNet',
    'InstBoxDataPreProcessor', 'InstBoxSegmentor', 'PixelBoxCoder', 'PixelBoxGrouper',
    'PixelBoxHead', 'SmoothL1Loss'
]
