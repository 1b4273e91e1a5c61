"""Imports the names of a package when they are first used."""
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module

from .openmmlab import quiet_imports


def lazy_names(package: str, places: Mapping[str, Iterable[str]]
               ) -> tuple[Callable[[str], object], list[str]]:
    """Returns ``__getattr__`` and ``__all__`` of a package.

    Modules are imported without the notices of OpenMMLab's packages.

    Args:
        package: Its ``__name__``.
        places: Relative name of a module -> the names that it defines.
    """
    module_of = {name: module for module, names in places.items() for name in names}

    def find(name: str) -> object:
        if name not in module_of:
            raise AttributeError(f'module {package!r} has no attribute {name!r}')
        with quiet_imports():
            return getattr(import_module(module_of[name], package), name)

    return find, sorted(module_of)
