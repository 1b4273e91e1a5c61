from .lean_relu6 import LeanReLU6

__all__ = ['LeanReLU6']
