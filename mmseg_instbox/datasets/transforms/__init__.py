from .full_box_random_crop import FullBoxRandomCrop
from .inst_center_crop import InstCenterCrop
from .inst_pad import InstPad
from .load_inst_annotations import LoadInstAnnotations
from .load_inst_image import LoadInstImage
from .pack_inst_inputs import PackInstInputs

__all__ = [
    'FullBoxRandomCrop', 'InstCenterCrop', 'InstPad', 'LoadInstAnnotations', 'LoadInstImage',
    'PackInstInputs'
]
