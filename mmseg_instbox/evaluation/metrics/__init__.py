from .inst_box_metric import InstBoxMetric

__all__ = ['InstBoxMetric']
