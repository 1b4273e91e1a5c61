from .inst_box_local_visualizer import InstBoxLocalVisualizer

__all__ = ['InstBoxLocalVisualizer']
