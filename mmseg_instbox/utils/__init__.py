"""Small helpers that every room of the package may use."""
from .atomic_write import atomic_write, write_json

__all__ = ['atomic_write', 'write_json']
