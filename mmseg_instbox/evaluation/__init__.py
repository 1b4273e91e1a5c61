"""Metrics, and tools' work on dumped predictions.

Names are imported when they are first used: mmdet, which ``metrics`` needs, takes seconds to
import, and formats of predictions need only ``functional``.
"""
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .metrics import DumpPixelBoxes, InstBoxMetric, InstCocoMetric, InstPanopticMetric
    from .prediction_dump import PredictionDump
    from .replay import DumpedSamples

METRICS = 'DumpPixelBoxes', 'InstBoxMetric', 'InstCocoMetric', 'InstPanopticMetric'
MODULES = dict(dict.fromkeys(METRICS, 'metrics'), DumpedSamples='replay',
               PredictionDump='prediction_dump')


def __getattr__(name: str) -> object:
    """Import a name of this package."""
    if name not in MODULES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(f'.{MODULES[name]}', __name__), name)
