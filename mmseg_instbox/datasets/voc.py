from mmseg.datasets import PascalVOCDataset
from mmseg.registry import DATASETS

from .inst_box_dataset import InstBoxDataset
from .shapes_generator import SHAPES
from .voc_layout import voc_palette


@DATASETS.register_module()
class VOCInstDataset(InstBoxDataset):
    """PASCAL VOC 2012 with instances: 20 thing categories and background.

    Categories and palette are those of mmseg's ``PascalVOCDataset``.
    """
    METAINFO = dict(
        **PascalVOCDataset.METAINFO, thing_classes=PascalVOCDataset.METAINFO['classes'][1:])


@DATASETS.register_module()
class ShapesDataset(InstBoxDataset):
    """Generated images of touching shapes, written by ``make_shapes.py`` in VOC's layout."""
    METAINFO = dict(classes=('background', *SHAPES), thing_classes=SHAPES,
                    palette=voc_palette()[:len(SHAPES) + 1].tolist())
