"""Optimizer wrappers."""
from .cpu_amp_optim_wrapper import CPUAmpOptimWrapper, use_amp

__all__ = ['CPUAmpOptimWrapper', 'use_amp']
