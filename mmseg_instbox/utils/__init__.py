"""Small helpers that every room of the package may use."""
from .atomic_write import atomic_write, write_json
from .distributed_exit import distributed_exit

__all__ = ['atomic_write', 'distributed_exit', 'write_json']
