from .inst_box_dataset import InstBoxDataset
from .shapes import ShapesDataset
from .transforms import InstCenterCrop, InstPad, LoadInstAnnotations, LoadInstImage, PackInstInputs
from .voc import VOCInstDataset

__all__ = [
    'InstBoxDataset', 'InstCenterCrop', 'InstPad', 'LoadInstAnnotations', 'LoadInstImage',
    'PackInstInputs', 'ShapesDataset', 'VOCInstDataset'
]
