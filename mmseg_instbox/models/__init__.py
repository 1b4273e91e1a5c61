from .activations import LeanReLU6
from .backbones import FCRNResNet
from .box_heads import PixelBoxHead
from .data_preprocessors import InstBoxDataPreProcessor
from .decode_heads import FCRNHead
from .losses import BootstrapCrossEntropyLoss, GIoULoss, IoULoss, SmoothL1Loss
from .segmentors import InstBoxSegmentor, InstBoxTTAModel, LocaliserSegmentor
from .task_modules import (
    BootstrapPixelSampler,
    BoxNMSGrouper,
    CentreGrouper,
    CornerBoxCoder,
    PixelBoxCoder,
    PixelBoxGrouper,
)

__all__ = [
    'BootstrapCrossEntropyLoss', 'BootstrapPixelSampler', 'BoxNMSGrouper', 'CentreGrouper',
    'CornerBoxCoder', 'FCRNHead', 'FCRNResNet', 'GIoULoss', 'InstBoxDataPreProcessor',
    'InstBoxSegmentor', 'InstBoxTTAModel', 'IoULoss', 'LeanReLU6', 'LocaliserSegmentor',
    'PixelBoxCoder', 'PixelBoxGrouper', 'PixelBoxHead', 'SmoothL1Loss'
]
