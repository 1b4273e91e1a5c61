"""Instance segmentation from pixel boxes, for MMSegmentation.

Importing the package registers its classes with MMSegmentation's registries and lets configs
inherit with ``mmseg::``, ``mmdet::`` and ``mmseg_instbox::``.
"""
from . import datasets, engine, evaluation, models, registry, visualization
from .utils import register_packages
from .version import __version__

register_packages()

__all__ = ['__version__', 'datasets', 'engine', 'evaluation', 'models', 'registry', 'visualization']
