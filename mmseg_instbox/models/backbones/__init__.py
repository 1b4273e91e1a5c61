from .dilated_mobilenet_v2 import DilatedMobileNetV2
from .fcrn_resnet import FCRNResNet
