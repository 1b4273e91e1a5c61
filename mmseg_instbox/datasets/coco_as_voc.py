from mmseg.registry import DATASETS

from .coco import CocoInstDataset
from .coco_names import COCO_TO_VOC
from .voc import VOCInstDataset


@DATASETS.register_module()
class CocoAsVOCInstDataset(CocoInstDataset):
    """COCO with the categories of PASCAL VOC, to train on before VOC.

    The objects of COCO's other 60 categories are background, as they are in VOC.
    """
    METAINFO = VOCInstDataset.METAINFO
    CATEGORY_MAP = COCO_TO_VOC
