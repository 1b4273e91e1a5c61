from .backbones import DilatedMobileNetV2, FCRNResNet
from .box_heads import ContextPixelBoxHead, PixelBoxHead
from .data_preprocessor import InstBoxDataPreProcessor
from .decode_heads import FCRNHead, RefinedASPPHead
from .layers import LeanReLU6
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
    'ContextPixelBoxHead', 'CornerBoxCoder', 'DilatedMobileNetV2', 'FCRNHead', 'FCRNResNet',
    'GIoULoss', 'InstBoxDataPreProcessor', 'InstBoxSegmentor', 'InstBoxTTAModel', 'IoULoss',
    'LeanReLU6', 'LocaliserSegmentor', 'PixelBoxCoder', 'PixelBoxGrouper', 'PixelBoxHead',
    'RefinedASPPHead', 'SmoothL1Loss'
]
