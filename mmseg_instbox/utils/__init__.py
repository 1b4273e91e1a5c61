"""Small helpers that every room of the package may use."""
from .atomic_write import atomic_write, write_json
from .package_map import register_packages

__all__ = ['atomic_write', 'register_packages', 'write_json']
