"""Metrics, and tools' work on dumped predictions.

Names are imported when they are first used: mmdet, which ``metrics`` needs, takes seconds to
import, and formats of predictions need only ``functional``.
"""
from typing import TYPE_CHECKING

from ..utils.lazy_names import lazy_names

if TYPE_CHECKING:
    from .metrics import DumpPixelBoxes, InstBoxMetric, InstCocoMetric, InstPanopticMetric
    from .prediction_dump import PredictionDump
    from .replay import DumpedSamples

__getattr__, __all__ = lazy_names(__name__)
