"""Small helpers that every layer of the package may use."""
from .atomic_write import atomic_write, replacing, write_json
from .distributed_exit import distributed_exit
from .nested import walk

# The lowest score that is shown unless the user asks for another one. Scores are calibrated: a
# score is the share of instances of such a score that are right. The published model has its
# highest F1 at .26 on photographs of VOC and at .37 on crowds of COCO.
DEFAULT_SCORE_THR = 0.3
DRAW_SIZE = 2048  # pixels of the longer side of a drawing
FORMAT_NAMES = ('coco', 'png', 'labelme', 'yolo', 'panoptic')  # of results, and of their folders

__all__ = ['DEFAULT_SCORE_THR', 'DRAW_SIZE', 'FORMAT_NAMES', 'atomic_write', 'distributed_exit',
           'replacing', 'walk', 'write_json']
