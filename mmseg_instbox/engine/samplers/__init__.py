"""Samplers of data loaders."""
from .seeded_samplers import SeededDefaultSampler, SeededInfiniteSampler

__all__ = ['SeededDefaultSampler', 'SeededInfiniteSampler']
