from .average_precision import average_precision, average_precision_table
from .category_iou import category_areas, category_ious
from .category_table import category_rows, format_table
from .coco_average_precision import CocoRegions, coco_average_precision, coco_regions
from .error_analysis import (
    CORRECT,
    ERROR_KINDS,
    ImageErrors,
    Regions,
    classify_errors,
    find_objects,
    measure_regions,
)
from .error_costs import count_kinds, error_costs, fixed_precision, image_cost
from .matching import match_detections
from .official_coco import OfficialCoco, check_categories, official_regions, read_coco
from .panoptic_quality import (
    Segments,
    panoptic_counts,
    panoptic_quality,
    predicted_segments,
    true_segments,
)
from .pixel_runs import PixelRuns, count_values, find_runs
from .region_iou import VOID_ID, RegionOverlap, object_columns, region_iou, region_overlap
from .true_boxes import true_boxes
from .true_categories import VOID_CATEGORY, true_category_map, true_category_scores

__all__ = [
    'CORRECT', 'ERROR_KINDS', 'VOID_CATEGORY', 'VOID_ID', 'CocoRegions', 'ImageErrors',
    'OfficialCoco', 'PixelRuns', 'RegionOverlap', 'Regions', 'Segments', 'average_precision',
    'average_precision_table', 'category_areas', 'category_ious', 'category_rows',
    'check_categories', 'classify_errors', 'coco_average_precision', 'coco_regions',
    'count_kinds', 'count_values', 'error_costs', 'find_objects', 'find_runs', 'fixed_precision',
    'format_table', 'image_cost', 'match_detections', 'measure_regions', 'object_columns',
    'official_regions', 'panoptic_counts', 'panoptic_quality', 'predicted_segments', 'read_coco',
    'region_iou', 'region_overlap', 'true_boxes', 'true_category_map', 'true_category_scores',
    'true_segments'
]
