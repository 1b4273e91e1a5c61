from .average_precision import average_precision, average_precision_table
from .category_table import category_rows, format_table
from .coco_average_precision import coco_average_precision, encode_regions
from .matching import match_detections
from .panoptic_quality import (
    Segments,
    panoptic_counts,
    panoptic_quality,
    predicted_segments,
    true_segments,
)
from .region_iou import VOID_ID, region_iou
from .true_categories import VOID_CATEGORY, true_category_map, true_category_scores

__all__ = [
    'VOID_CATEGORY', 'VOID_ID', 'Segments', 'average_precision', 'average_precision_table',
    'category_rows', 'coco_average_precision', 'encode_regions', 'format_table',
    'match_detections', 'panoptic_counts', 'panoptic_quality', 'predicted_segments',
    'region_iou', 'true_category_map', 'true_category_scores', 'true_segments'
]
