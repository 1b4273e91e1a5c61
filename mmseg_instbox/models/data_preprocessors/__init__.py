from .inst_box_data_preprocessor import InstBoxDataPreProcessor

__all__ = ['InstBoxDataPreProcessor']
