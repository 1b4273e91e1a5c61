from .pixel_box_head import PixelBoxHead

__all__ = ['PixelBoxHead']
