from .fcrn_head import FCRNHead

__all__ = ['FCRNHead']
