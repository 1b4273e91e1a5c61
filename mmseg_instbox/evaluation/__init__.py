"""Metrics, and tools' work on dumped predictions.

Names are imported when they are first used: mmdet, which ``metrics`` needs, takes seconds to
import, and formats of predictions need only ``functional``.
"""
import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .metrics import DumpPixelBoxes, InstBoxMetric, InstCocoMetric, InstPanopticMetric
    from .prediction_dump import PredictionDump
    from .replay import DumpedSamples

_PLACES = dict(
    DumpPixelBoxes='metrics', DumpedSamples='replay', InstBoxMetric='metrics',
    InstCocoMetric='metrics', InstPanopticMetric='metrics', PredictionDump='prediction_dump')

__all__ = [
    'DumpPixelBoxes', 'DumpedSamples', 'InstBoxMetric', 'InstCocoMetric', 'InstPanopticMetric',
    'PredictionDump'
]


def __getattr__(name: str) -> object:
    """Import a name of this package."""
    if name not in _PLACES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(f'.{_PLACES[name]}', __name__), name)
