import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer, print_log
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from ...utils import walk
from ..config_io import config_to_json

# what weights-only loading accepts, besides dictionaries, lists, tuples and sets
PLAIN = (type(None), bool, int, float, complex, str, bytes, torch.Tensor, torch.Size, torch.dtype,
         torch.device)


@HOOKS.register_module()
class PlainCheckpointHook(Hook):
    """Writes checkpoints that can be read weights-only, resuming included.

    MMEngine pickles the histories of its logger into a checkpoint, and adds the config as Python.
    This hook writes both as plain data, the resolved config as JSON in ``meta['config_json']``, and
    restores the histories when a run is resumed. It runs last, so that it sees what others add::

        default_hooks = dict(plain_checkpoint=dict(type='PlainCheckpointHook'))

    A config that JSON cannot express, and objects that other hooks add, are logged: the checkpoint
    then carries no config, or needs ``--allow-pickle``.
    """

    priority = 'LOWEST'

    def before_run(self, runner: Runner) -> None:
        """Write the config as JSON, so that a problem with it is logged at the start."""
        try:
            self._config_json = config_to_json(runner.cfg)
        except ValueError as error:
            self._config_json = None
            print_log('Checkpoints of this run will carry no config; name it when you load them: '
                      f'{error}', 'current', logging.WARNING)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Turn all but the weights into plain data, in place."""
        if not hasattr(self, '_config_json'):  # saved by hand, outside a training
            self.before_run(runner)
        meta, hub = checkpoint['meta'], checkpoint['message_hub']
        meta.pop('cfg', None)
        if self._config_json is not None:
            meta['config_json'] = self._config_json
        for part in ('runtime_info', 'resumed_keys'):  # MMEngine keeps the config's Python there
            hub[part] = {key: item for key, item in hub[part].items() if key != 'cfg'}
        for key, value in checkpoint.items():
            if not key.endswith('state_dict'):
                checkpoint[key] = to_plain(value)
        for problem in not_plain(checkpoint):
            print_log(f'{problem}: this checkpoint can only be read with --allow-pickle.',
                      'current', logging.WARNING)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Restore the histories of the logger, in place."""
        histories = checkpoint.get('message_hub', {}).get('log_scalars', {})
        for name, value in histories.items():
            if isinstance(value, dict):  # MMEngine's own checkpoints hold the histories themselves
                log, count, max_length = value['$history']
                histories[name] = HistoryBuffer(log.cpu().numpy(), count.cpu().numpy(), max_length)


def to_plain(value: Any) -> Any:
    """Express histories as dictionaries, arrays as lists, NumPy's numbers as Python's, and paths as
    strings, wherever they are in dictionaries, lists and tuples.

    Other objects stay as they are (see :func:`not_plain`).
    """
    if isinstance(value, HistoryBuffer):
        log, count = value.data
        return {'$history': [torch.tensor(log), torch.tensor(count), value.max_length]}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, dict):
        return {to_plain(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple) and not isinstance(value, torch.Size):
        return (list if isinstance(value, list) else tuple)(map(to_plain, value))
    return value


def not_plain(value: Any) -> Iterator[str]:
    """Place and type of each part of a nested value that weights-only loading refuses."""
    for place, _, part in walk(value, 'checkpoint'):
        container = isinstance(part, dict) or type(part) in (list, tuple, set)
        if not container and (not isinstance(part, PLAIN) or isinstance(part, np.generic)):
            yield f'{place} is a {type(part).__module__}.{type(part).__qualname__}'
