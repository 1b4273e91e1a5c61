from ..prediction_dump import DumpPixelBoxes
from .inst_box_metric import InstBoxMetric
from .inst_coco_metric import InstCocoMetric
from .inst_panoptic_metric import InstPanopticMetric
