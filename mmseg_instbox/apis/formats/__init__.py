"""Predictions in the formats of other programs: a module, a writer and pure functions for each."""
from .coco import CocoWriter, coco_annotations, coco_content
from .coco_reader import samples_from_coco
from .labelme import LabelMeWriter, labelme_shapes
from .panoptic import PanopticWriter, panoptic_segments
from .png import PngWriter, png_maps
from .polygons import join_polygons, mask_polygons
from .result_writer import ResultWriter, file_name
from .supervision import to_supervision
from .write_results import FORMATS, write_results
from .yolo import YoloWriter, yolo_lines

__all__ = [
    'FORMATS', 'CocoWriter', 'LabelMeWriter', 'PanopticWriter', 'PngWriter', 'ResultWriter',
    'YoloWriter', 'coco_annotations', 'coco_content', 'file_name', 'join_polygons',
    'labelme_shapes', 'mask_polygons', 'panoptic_segments', 'png_maps', 'samples_from_coco',
    'to_supervision', 'write_results', 'yolo_lines'
]
