"""Small helpers that every layer of the package may use."""
from .atomic_write import atomic_write, replacing, write_json
from .distributed_exit import distributed_exit
from .nested import walk

__all__ = ['atomic_write', 'distributed_exit', 'replacing', 'walk', 'write_json']
