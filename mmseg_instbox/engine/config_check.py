"""Whether a config that came with a checkpoint is data alone.

A config names what is built from it. MMEngine imports what ``custom_imports``, a scope or a dotted
``type`` names, and calls what it finds: ``dict(type='os.system', command=...)`` in a model runs
that command. A user's own config file may do so, as it is a program anyway. One that travels in a
checkpoint may not.
"""
from collections.abc import Iterator
from typing import Any

from ..errors import InvalidInputError
from .registered_names import OWN_SCOPES, registered_names

TYPE_KEYS = ('type', 'constructor', 'runner_type')
SCOPE_KEYS = ('_scope_', 'default_scope')
# registered, but they unpickle files, fetch models or evaluate text that their arguments name
UNSAFE_TYPES = ('LoadBiomedicalAnnotation', 'LoadBiomedicalData', 'LoadBiomedicalImageFromFile',
                'LoadDepthAnnotation', 'RFSearchHook', 'TIMMBackbone', 'VPD')
# MMEngine reads these formats with readers that run what the file says, for example where a loss
# has the name of a file as its class_weight
UNSAFE_SUFFIXES = ('.pickle', '.pkl', '.yaml', '.yml')


def check_config_is_data(cfg: dict, source: str = 'The config') -> None:
    """Refuse a config that would make MMEngine import or call anything but registered types.

    Allowed are the types in the registries of MMEngine, MMSegmentation and this package, by name or
    as ``scope.Name``, but for those that run code which their arguments name (``UNSAFE_TYPES``);
    these scopes; and ``custom_imports`` of this package. Types of other packages are refused, and
    so are names of files whose reading runs code (``UNSAFE_SUFFIXES``).

    Args:
        cfg: The resolved config.
        source: Where it is from, the beginning of the error's sentence.

    Raises:
        ValueError: With what was found, and where.
    """
    names = registered_names()
    for place, key, value in _items(cfg, 'cfg'):
        if key == 'custom_imports':
            problem = _import_problem(value)
        elif key in SCOPE_KEYS:
            allowed = value is None or value in OWN_SCOPES
            problem = None if allowed else f'is the scope {value!r}'
        elif key in TYPE_KEYS:
            problem = _type_problem(value, names)
        elif isinstance(value, str) and value.lower().endswith(UNSAFE_SUFFIXES):
            problem = f'is {value!r}, a file whose reading can run code'
        else:
            continue
        if problem:
            raise InvalidInputError(f'{source} is not data alone: {place} {problem}.')


def _items(node: Any, place: str) -> Iterator[tuple[str, str, Any]]:
    """Place, key (of an item of a list: '') and value of each entry of a nested config."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield f'{place}.{key}', key, value
            yield from _items(value, f'{place}.{key}')
    elif isinstance(node, list | tuple):
        for index, value in enumerate(node):
            yield f'{place}[{index}]', '', value
            yield from _items(value, f'{place}[{index}]')


def _import_problem(value: Any) -> str | None:
    modules = value.get('imports', []) if isinstance(value, dict) else value
    modules = [modules] if isinstance(modules, str) else list(modules or [])
    for module in modules:
        if str(module).split('.')[0] != 'mmseg_instbox':
            return f'imports {module!r}'
    return None


def _type_problem(value: Any, names: dict[str, set[str]]) -> str | None:
    if not isinstance(value, str):
        return f'is {value!r}, and no name'
    scope, _, name = value.rpartition('.')
    known = names.get(scope, ()) if scope else set().union(*names.values())
    if name not in known:
        return f'is {value!r}, which no registry of {", ".join(OWN_SCOPES)} has'
    if name in UNSAFE_TYPES:
        return f'is {value!r}, which can run code that its arguments name'
    return None
