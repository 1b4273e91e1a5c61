"""A config as JSON, and back: data that nothing executes.

JSON knows neither tuples nor keys that are no strings nor infinite numbers. They become objects
with one key that begins with ``$``, so that the config that is read equals the one written.
"""
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.utils import get_object_from_string

from ..errors import InvalidInputError
from .registered_names import registered_name


def config_to_json(cfg: Config) -> str:
    """Write a resolved config as JSON text.

    A class in place of a registered name (``type=ResNet``) becomes the name.

    Raises:
        ValueError: The config holds something that is no data, for example a function.
    """
    return json.dumps(_encode(cfg.to_dict(), 'cfg'), allow_nan=False)


def config_from_json(text: str) -> Config:
    """Read what :func:`config_to_json` wrote; nothing is imported, built or executed.

    Raises:
        ValueError: The text is no such JSON.
    """
    try:
        content = json.loads(text, object_hook=_decode)
        if isinstance(content, dict):
            return Config(content)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InvalidInputError(f'A config in JSON cannot be read: {error}.') from error
    raise InvalidInputError(f'A config in JSON must be an object, got {type(content).__name__}.')


def _encode(value: Any, place: str, key: str = '') -> Any:
    """JSON of ``value``, which stands at ``place`` of the config under ``key``."""
    value = _plain_scalar(value)
    if key == 'type' and (callable(value) or _is_path(value)):
        return _type_name(value, place)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {'$float': str(value)}
    if isinstance(value, list | tuple):
        items = [_encode(item, f'{place}[{i}]') for i, item in enumerate(value)]
        return items if isinstance(value, list) else {'$tuple': items}
    if isinstance(value, dict):
        return _encode_dict(value, place)
    raise InvalidInputError(f'{place} is {value!r}, a {type(value).__name__}, which JSON cannot '
                            'express: give a registered name, a number, a text, a list or a '
                            'dictionary.')


def _plain_scalar(value: Any) -> Any:
    """NumPy's numbers and arrays and paths as what Python has for them."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return str(value) if isinstance(value, Path) else value


def _encode_dict(value: dict, place: str) -> dict:
    if all(isinstance(key, str) and not key.startswith('$') for key in value):
        return {key: _encode(item, f'{place}.{key}', key) for key, item in value.items()}
    pairs = [[_encode(key, place), _encode(item, f'{place}[{key!r}]')]
             for key, item in value.items()]
    return {'$dict': pairs}


def _is_path(value: Any) -> bool:
    """Whether a type is the path of an object (``torch.optim.SGD``) and no ``scope.Name``."""
    return isinstance(value, str) and value.count('.') > 1


def _type_name(value: Any, place: str) -> str:
    thing = get_object_from_string(value) if isinstance(value, str) else value
    name = registered_name(thing)
    if name is None:
        raise InvalidInputError(f'{place} is {value!r}, which is in no registry: register it and '
                                'give its name.')
    return name


def _decode(content: dict) -> Any:
    """The Python value of one JSON object; those within it are decoded already."""
    if len(content) == 1:
        (key, value), = content.items()
        if key == '$tuple':
            return tuple(value)
        if key == '$float':
            return float(value)
        if key == '$dict':
            return dict(value)
    return content
