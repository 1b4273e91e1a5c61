"""Optimizer wrappers."""
from .cpu_amp_optim_wrapper import CPUAmpOptimWrapper, has_fast_bfloat16, use_amp
