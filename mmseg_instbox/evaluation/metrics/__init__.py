from .dump_pixel_boxes import DumpPixelBoxes
from .inst_box_metric import InstBoxMetric

__all__ = ['DumpPixelBoxes', 'InstBoxMetric']
