from .metrics import InstBoxMetric

__all__ = ['InstBoxMetric']
