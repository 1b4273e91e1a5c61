"""The groupers of the package by name, and how one is configured and built."""
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import InvalidInputError
from ..utils.foreign_errors import convert_errors
from .base_grouper import BaseGrouper
from .pixel_box_grouper import PixelBoxGrouper
from .reference_groupers import BoxNMSGrouper, CentreGrouper

GROUPERS = {cls.__name__: cls for cls in (BoxNMSGrouper, CentreGrouper, PixelBoxGrouper)}


def configured_grouper(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the config of a model's grouper, ``PixelBoxGrouper`` where the config has none."""
    return dict((cfg.get('model') or {}).get('grouper') or dict(type='PixelBoxGrouper'))


def build_grouper(config: Mapping[str, Any],
                  find: Callable[[str], type | None] = GROUPERS.get) -> BaseGrouper:
    """Builds a grouper.

    Args:
        config: ``type``, the name of a class or the class, and its arguments.
        find: Gives the class of a name, or None. By default one of ``GROUPERS``; ``TASK_UTILS.get``
            of MMSegmentation also knows those that users registered.

    Raises:
        ValueError: An unknown type, or arguments that it does not take.
    """
    arguments = dict(config)
    kind = arguments.pop('type', None)
    cls = kind if isinstance(kind, type) else find(str(kind).removeprefix('mmseg.'))
    if cls is None:
        raise InvalidInputError(f'There is no grouper {kind!r}; expected one of '
                                f'{", ".join(GROUPERS)}, or one that is registered.')
    with convert_errors(f'The grouper {dict(config)} cannot be built', TypeError, ValueError):
        return cls(**arguments)
