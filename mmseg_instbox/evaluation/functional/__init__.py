from .average_precision import average_precision, average_precision_table, match_detections
from .coco_average_precision import (
    OfficialCoco,
    check_categories,
    coco_average_precision,
    official_instances,
    read_coco,
)
from .confusion import confusion_matrix
from .error_analysis import (
    CORRECT,
    ERROR_KINDS,
    ImageErrors,
    Regions,
    classify_errors,
    measure_regions,
)
from .error_costs import count_kinds, error_costs, fixed_precision, image_cost
from .panoptic_quality import (
    Segments,
    panoptic_counts,
    panoptic_quality,
    predicted_segments,
    true_segments,
)
from .pixel_counts import (
    PixelRuns,
    RegionOverlap,
    category_areas,
    count_values,
    find_runs,
    object_columns,
    region_overlap,
)

__all__ = [
    'CORRECT', 'ERROR_KINDS', 'ImageErrors', 'OfficialCoco', 'PixelRuns', 'RegionOverlap',
    'Regions', 'Segments', 'average_precision', 'average_precision_table', 'category_areas',
    'check_categories', 'classify_errors', 'coco_average_precision', 'confusion_matrix',
    'count_kinds', 'count_values', 'error_costs', 'find_runs', 'fixed_precision', 'image_cost',
    'match_detections', 'measure_regions', 'object_columns', 'official_instances',
    'panoptic_counts', 'panoptic_quality', 'predicted_segments', 'read_coco', 'region_overlap',
    'true_segments'
]
