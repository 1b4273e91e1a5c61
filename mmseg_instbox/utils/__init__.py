"""Small helpers that every room of the package may use."""
from .atomic_write import write_json
from .package_map import register_packages

__all__ = ['register_packages', 'write_json']
