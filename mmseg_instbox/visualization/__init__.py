"""Visualizers and drawing functions.

Names are imported when they are first used, so that functions that draw do without MMSegmentation,
which the visualizers extend.
"""
from typing import TYPE_CHECKING

from ..utils.lazy_names import lazy_names

if TYPE_CHECKING:
    from .box_targets import add_box_targets
    from .drawing import contact_sheet
    from .inst_box_local_visualizer import InstBoxLocalVisualizer
    from .pixel_box_visualizer import PixelBoxVisualizer
    from .predictions import draw_prediction
    from .vote_field import draw_vote_field

__getattr__, __all__ = lazy_names(__name__)
