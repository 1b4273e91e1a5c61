from .fcrn_resnet import FCRNResNet

__all__ = ['FCRNResNet']
