"""All data sets and transforms: importing this module registers them with MMSegmentation."""
from . import cityscapes, coco, inst_box_dataset, transforms, voc  # noqa: F401
