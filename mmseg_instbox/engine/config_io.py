"""Reads configs by path or name, and writes them as JSON, which nothing executes.

Tuples, keys that are no strings, and infinite numbers become objects with one key that begins with
``$``, so that the config that is read equals the one written.
"""
import inspect
import json
import math
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.runner import Runner
from mmengine.utils import get_object_from_string

from ..errors import InvalidInputError, MissingFileError
from ..registry import registered_name
from ..utils.file_names import near_files
from ..utils.foreign_errors import convert_errors
from .model_index import find_model

DATALOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
# first keys that a config may have although this one does not
RUN_KEYS = (*inspect.signature(Runner).parameters, 'custom_imports', 'find_unused_parameters',
            'model_wrapper_cfg', 'runner_type', 'strategy', 'sync_bn', 'test_pipeline',
            'train_pipeline', 'tta_model', 'tta_pipeline')


def find_config(name: str) -> tuple[str, str | None]:
    """The path of a config, given by its path or by its name in the model index, and the path or
    address of its weights where the index has some.

    Raises:
        MissingFileError: ``name`` is a path and there is no such file.
        InvalidInputError: The model index has no such name.
    """
    path = Path(name)
    if path.is_file():
        return name, None
    if path.suffix == '.py' or len(path.parts) > 1:
        raise MissingFileError(f'There is no config file {name!r}{near_files(path)}')
    return find_model(name)


def load_config(name: str, options: dict | None = None) -> Config:
    """Read a config and merge ``--cfg-options`` into it.

    Data loaders without workers lose the settings that need some.

    Args:
        name: The config file, or a name in the model index.
        options: Dotted keys with their values, as ``mmengine.DictAction`` gives them.

    Raises:
        MissingFileError: There is no such file.
        InvalidInputError: It is no config, or the options do not fit it.
    """
    path, _ = find_config(name)
    with convert_errors(f'The config {path} cannot be read'):
        cfg = Config.fromfile(path)
    merge_options(cfg, options)
    for each in DATALOADERS:
        loader = cfg.get(each)
        if isinstance(loader, dict) and not loader.get('num_workers'):
            for key in ('persistent_workers', 'prefetch_factor', 'timeout'):
                loader.pop(key, None)
    return cfg


def merge_options(cfg: Config, options: dict | None) -> None:
    """Merge ``--cfg-options`` into a config, changed in place.

    A new first key is added, as MMEngine does, unless it is like one that the config or a run has:
    nothing would read it. The options are as of :func:`load_config`.

    Raises:
        InvalidInputError: The options do not fit the config.
    """
    source = f'the config {cfg.filename}' if cfg.filename else 'the config'
    known = {*cfg, *RUN_KEYS}
    for option in options or ():
        key = option.partition('.')[0]
        near = [] if key in known else get_close_matches(key, known, n=1, cutoff=0.8)
        if near:
            raise InvalidInputError(f'--cfg-options do not fit {source}, which has no {key!r}. Did '
                                    f'you mean {near[0]!r}?')
    with convert_errors(f'--cfg-options do not fit {source}'):
        cfg.merge_from_dict(options or {})


def config_to_json(cfg: Config) -> str:
    """Write a resolved config as JSON text; a class (``type=ResNet``) becomes its name.

    Raises:
        InvalidInputError: The config holds something that is not data, for example a function.
    """
    return json.dumps(_encode(cfg.to_dict(), 'cfg'), allow_nan=False)


def config_from_json(text: str) -> Config:
    """Read what :func:`config_to_json` wrote; nothing is imported, built or executed.

    Raises:
        InvalidInputError: The text is no such JSON.
    """
    with convert_errors('A config in JSON cannot be read'):
        return Config(json.loads(text, object_hook=_decode))


def _encode(value: Any, place: str, key: str = '') -> Any:
    """JSON of ``value``, which stands at ``place`` of the config under ``key``."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    # a class, or the path of an object (torch.optim.SGD), which has more dots than scope.Name
    if key == 'type' and (callable(value) or isinstance(value, str) and value.count('.') > 1):
        name = registered_name(
            get_object_from_string(value) if isinstance(value, str) else value)
        if name is None:
            raise InvalidInputError(f'{place} is {value!r}, which is in no registry: register it '
                                    'and give its name.')
        return name
    if isinstance(value, float) and not math.isfinite(value):
        return {'$float': str(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list | tuple):
        items = [_encode(item, f'{place}[{i}]') for i, item in enumerate(value)]
        return items if isinstance(value, list) else {'$tuple': items}
    if isinstance(value, dict):
        if all(isinstance(key, str) and not key.startswith('$') for key in value):
            return {key: _encode(item, f'{place}.{key}', key) for key, item in value.items()}
        return {'$dict': [[_encode(key, place), _encode(item, f'{place}[{key!r}]')]
                          for key, item in value.items()]}
    raise InvalidInputError(f'{place} is {value!r}, a {type(value).__name__}, which JSON cannot '
                            'express: give a registered name, a number, a string, a list or a '
                            'dictionary.')


def _decode(content: dict) -> Any:
    """The Python value of one JSON object; those within it are decoded already."""
    decoders = {'$tuple': tuple, '$float': float, '$dict': dict}
    key = next(iter(content), None)
    return decoders[key](content[key]) if len(content) == 1 and key in decoders else content
