"""Imports the names of a package when they are first used."""
import ast
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from .openmmlab import quiet_imports


def lazy_names(package: str) -> tuple[Callable[[str], object], list[str]]:
    """Returns ``__getattr__`` and ``__all__`` of a package.

    The names are those that its ``__init__.py`` imports under ``if TYPE_CHECKING:``, where editors
    find them: of its modules, or subpackages (``from . import NAME``). They are imported without
    the notices of OpenMMLab's packages.
    """
    source = Path(sys.modules[package].__file__).read_bytes()
    block, = (node for node in ast.parse(source).body if isinstance(node, ast.If))
    origins = {alias.name: ('.' * node.level, node.module)
               for node in block.body for alias in node.names}

    def find(name: str) -> object:
        if name not in origins:
            raise AttributeError(f'module {package!r} has no attribute {name!r}')
        dots, module = origins[name]
        with quiet_imports():
            if module is None:
                return import_module(f'{dots}{name}', package)
            return getattr(import_module(f'{dots}{module}', package), name)

    return find, sorted(origins)
