from .inst_box_segmentor import InstBoxSegmentor

__all__ = ['InstBoxSegmentor']
