"""All data sets and transforms: importing this module registers them with MMSegmentation."""
# ruff: noqa: F401
from .cityscapes import CityscapesInstDataset
from .coco import CocoAsVOCInstDataset, CocoInstDataset
from .inst_box_dataset import InstBoxDataset
from .transforms import InstCenterCrop, InstPad, LoadInstAnnotations, LoadInstImage, PackInstInputs
from .voc import ShapesDataset, VOCInstDataset
