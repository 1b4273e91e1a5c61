"""All data sets and transforms: importing this module registers them with MMSegmentation."""
from .cityscapes import CityscapesInstDataset
from .coco import CocoAsVOCInstDataset, CocoInstDataset
from .inst_box_dataset import InstBoxDataset
from .transforms import InstCenterCrop, InstPad, LoadInstAnnotations, LoadInstImage, PackInstInputs
from .voc import ShapesDataset, VOCInstDataset

__all__ = [
    'CityscapesInstDataset', 'CocoAsVOCInstDataset', 'CocoInstDataset', 'InstBoxDataset',
    'InstCenterCrop', 'InstPad', 'LoadInstAnnotations', 'LoadInstImage', 'PackInstInputs',
    'ShapesDataset', 'VOCInstDataset'
]
