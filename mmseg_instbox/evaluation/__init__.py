from .dumped_samples import DumpedSamples
from .metrics import DumpPixelBoxes, InstBoxMetric
from .prediction_dump import PredictionDump

__all__ = ['DumpPixelBoxes', 'DumpedSamples', 'InstBoxMetric', 'PredictionDump']
