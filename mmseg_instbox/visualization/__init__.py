from .box_targets import add_box_targets
from .drawing import contact_sheet
from .inst_box_local_visualizer import InstBoxLocalVisualizer
from .pixel_box_visualizer import PixelBoxVisualizer
from .vote_field import draw_vote_field

__all__ = [
    'InstBoxLocalVisualizer', 'PixelBoxVisualizer', 'add_box_targets', 'contact_sheet',
    'draw_vote_field'
]
