import logging

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from .config_json import config_to_json
from .plain_data import from_plain, not_plain, to_plain


@HOOKS.register_module()
class PlainCheckpointHook(Hook):
    """Checkpoints that can be read weights-only, resuming included.

    MMEngine pickles the histories of its logger into a checkpoint, and adds the config as Python.
    This hook writes both as plain data: tensors, numbers, texts, lists and dictionaries; the
    resolved config as JSON in ``meta['config_json']``. It undoes that when a run is resumed, and
    leaves checkpoints without it as they are. It comes last, so that it sees what others add::

        default_hooks = dict(plain_checkpoint=dict(type='PlainCheckpointHook'))

    A config that JSON cannot express, and objects that other hooks add, are logged: the checkpoint
    then carries no config, or needs ``--allow-pickle``.
    """

    priority = 'LOWEST'

    def before_run(self, runner: Runner) -> None:
        """Write the config as JSON; a problem with it is told at the start."""
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
        """Give the runner what it saved, in place."""
        if 'message_hub' in checkpoint:
            checkpoint['message_hub'] = from_plain(checkpoint['message_hub'])
