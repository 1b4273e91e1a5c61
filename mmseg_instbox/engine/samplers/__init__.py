"""Samplers of data loaders."""
from .seeded_samplers import SeededDefaultSampler, SeededInfiniteSampler
