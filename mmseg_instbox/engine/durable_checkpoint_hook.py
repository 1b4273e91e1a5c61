from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from .durable_backend import DurableBackend


@HOOKS.register_module()
class DurableCheckpointHook(CheckpointHook):
    """Checkpoints are written whole or not at all, and old ones go when the new one is on the disk.

    :class:`mmengine.hooks.CheckpointHook` deletes first and then writes in place: a run that is
    stopped in between has neither. Here a checkpoint goes to a temporary file, is read back, and
    takes its name in one step. In place of the parent, with its arguments::

        default_hooks = dict(checkpoint=dict(type='DurableCheckpointHook', interval=500))

    Args:
        backend_args: Storage of the checkpoints; by default :class:`DurableBackend`. With another
            one the parent's order stays.
        **kwargs: As in the parent.
    """

    def __init__(self, backend_args: dict | None = None, **kwargs) -> None:
        super().__init__(backend_args=backend_args or dict(backend='durable'), **kwargs)

    def before_train(self, runner: Runner) -> None:
        """Remove what a run that was stopped while it wrote has left."""
        super().before_train(runner)
        if is_main_process() and isinstance(self.file_backend, DurableBackend):
            for rest in Path(self.out_dir).glob('.*.pth.*'):
                rest.unlink(missing_ok=True)
        self._remove_outdated()

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        super()._save_checkpoint_with_step(runner, step, meta)
        self._remove_outdated()

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        super()._save_best_checkpoint(runner, metrics)
        self._remove_outdated()

    def _remove_outdated(self) -> None:
        """Remove the checkpoints that the parent wanted to remove before it wrote new ones."""
        if isinstance(self.file_backend, DurableBackend):
            best = getattr(self, 'best_ckpt_path_dict', {}).values()
            self.file_backend.remove_outdated(
                [self.last_ckpt, getattr(self, 'best_ckpt_path', None), *best])
