from .inst_box_segmentor import InstBoxSegmentor
from .inst_box_tta_model import InstBoxTTAModel
from .localiser_segmentor import LocaliserSegmentor

__all__ = ['InstBoxSegmentor', 'InstBoxTTAModel', 'LocaliserSegmentor']
