"""Registries of the scope ``mmseg_instbox``, and what all registries know by name.

The package registers its classes with MMSegmentation itself. MMEngine however marks a config that
is inherited with ``mmseg_instbox::`` with that scope, and looks its classes up here first, then in
the parents, whose modules it does not import. So the registries here are empty, but must exist and
name their parents' modules.
"""
import io
from collections.abc import Container
from contextlib import redirect_stdout
from typing import Any

import mmengine.registry
import mmseg.registry
from mmengine.registry import Registry

# from parent to child: a registry that lacks a name asks its parent
OWN_SCOPES = ('mmengine', 'mmseg', 'mmseg_instbox')

SCOPED = {
    name: Registry(
        getattr(mmseg.registry, name).name,
        parent=getattr(mmseg.registry, name),
        scope='mmseg_instbox',
        locations=getattr(mmseg.registry, name)._locations or ['mmseg_instbox'])
    for name in mmseg.registry.__all__
}


def registered_names(not_imported: Container[str] = ()) -> dict[str, set[str]]:
    """The names that each scope in ``OWN_SCOPES`` knows, its parents' among them.

    Packages whose classes are registered on first use are imported, without their notices, but for
    those of the registries ``not_imported``.
    """
    known = [registry for registry in _all_registries() if registry.scope in OWN_SCOPES]
    with redirect_stdout(io.StringIO()):
        for registry in known:  # all of them first: a child's modules may register with a parent
            if registry.name not in not_imported:
                registry.import_from_location()
    names = {scope: set() for scope in OWN_SCOPES}
    for registry in known:
        for scope in OWN_SCOPES[OWN_SCOPES.index(registry.scope):]:
            names[scope].update(registry.module_dict)
    return names


def registered_name(thing: Any) -> str | None:
    """The name by which a config reaches a class or a function; None if it is not registered."""
    for registry in _all_registries():
        for name, registered in registry.module_dict.items():
            if registered is thing:
                return name if registry.scope in OWN_SCOPES else f'{registry.scope}.{name}'
    return None


def _all_registries() -> list[Registry]:
    """Every registry of MMEngine and of the packages that build on it."""
    found = [each for each in vars(mmengine.registry).values() if isinstance(each, Registry)]
    for registry in found:  # grows while it is walked through
        found += registry.children.values()
    return found
