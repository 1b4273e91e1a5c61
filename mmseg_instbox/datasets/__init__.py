from .cityscapes import CityscapesInstDataset
from .coco import CocoInstDataset
from .coco_as_voc import CocoAsVOCInstDataset
from .inst_box_dataset import InstBoxDataset
from .shapes import ShapesDataset
from .transforms import InstCenterCrop, InstPad, LoadInstAnnotations, LoadInstImage, PackInstInputs
from .voc import VOCInstDataset

__all__ = [
    'CityscapesInstDataset', 'CocoAsVOCInstDataset', 'CocoInstDataset', 'InstBoxDataset',
    'InstCenterCrop', 'InstPad', 'LoadInstAnnotations', 'LoadInstImage', 'PackInstInputs',
    'ShapesDataset', 'VOCInstDataset'
]
