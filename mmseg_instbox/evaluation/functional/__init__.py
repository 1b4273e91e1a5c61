from .average_precision import average_precision, average_precision_table
from .category_table import category_rows, format_table
from .matching import match_detections
from .region_iou import VOID_ID, region_iou
from .true_categories import VOID_CATEGORY, true_category_map, true_category_scores

__all__ = [
    'VOID_CATEGORY', 'VOID_ID', 'average_precision', 'average_precision_table', 'category_rows',
    'format_table', 'match_detections', 'region_iou', 'true_category_map', 'true_category_scores'
]
