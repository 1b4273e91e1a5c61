"""Checks that a config from a checkpoint is data alone.

MMEngine imports what ``custom_imports``, a scope or a dotted ``type`` names, and calls what it
finds: ``dict(type='os.system', command=...)`` in a model runs that command. A user's own config
file is a program anyway; one that travels in a checkpoint must not be.
"""
from typing import Any

from ..errors import InvalidInputError
from ..registry import OWN_SCOPES, registered_names
from ..utils import walk

TYPE_KEYS = ('type', 'constructor', 'runner_type')
SCOPE_KEYS = ('_scope_', 'default_scope')
EVALUATORS = {'val_evaluator', 'test_evaluator'}
# registered, but they unpickle files, fetch models or evaluate text that their arguments name
UNSAFE_TYPES = ('LoadBiomedicalAnnotation', 'LoadBiomedicalData', 'LoadBiomedicalImageFromFile',
                'LoadDepthAnnotation', 'RFSearchHook', 'TIMMBackbone', 'VPD')
# MMEngine reads these formats with readers that run what the file says, for example where a loss
# has the name of a file as its class_weight
UNSAFE_SUFFIXES = ('.pickle', '.pkl', '.yaml', '.yml')


def check_config_is_data(cfg: dict, source: str = 'The config') -> None:
    """Raise InvalidInputError if MMEngine would import or call anything but registered types.

    A resolved config may name the types in the registries of MMEngine, MMSegmentation and this
    package (``Name`` or ``scope.Name``), except ``UNSAFE_TYPES``; these scopes; and modules of this
    package in ``custom_imports``. Files whose reading runs code (``UNSAFE_SUFFIXES``) are refused.
    The error calls the config ``source``.
    """
    # metrics import mmdet, which takes a second
    names = registered_names(() if EVALUATORS & cfg.keys() else ('metric', ))
    for place, key, value in walk(cfg, 'cfg'):
        if problem := _problem(key, value, names):
            raise InvalidInputError(f'{source} is not data alone: {place} {problem}.')


def _problem(key: Any, value: Any, names: dict[str, set[str]]) -> str | None:
    """What is wrong with one value of a config."""
    if key == 'custom_imports':
        modules = value.get('imports') if isinstance(value, dict) else value
        modules = [modules] if isinstance(modules, str) else modules or []
        foreign = [each for each in modules if str(each).split('.')[0] != 'mmseg_instbox']
        return f'imports {foreign[0]!r}' if foreign else None
    if key in SCOPE_KEYS:
        return None if value is None or value in OWN_SCOPES else f'is the scope {value!r}'
    if key in TYPE_KEYS:
        scope, _, name = value.rpartition('.') if isinstance(value, str) else ('', '', None)
        if name not in (names.get(scope, ()) if scope else set().union(*names.values())):
            return f'is {value!r}, which no registry of {", ".join(OWN_SCOPES)} has'
        if name in UNSAFE_TYPES:
            return f'is {value!r}, which can run code that its arguments name'
    elif isinstance(value, str) and value.lower().endswith(UNSAFE_SUFFIXES):
        return f'is {value!r}, a file whose reading can run code'
    return None
