from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from ...errors import FileAccessError
from ...utils import atomic_write


@register_backend('durable')
class DurableBackend(LocalBackend):
    """Local files that are written whole or not at all, and removed by :meth:`remove_outdated`.

    So a caller that removes the old file before it writes the new one always has one of them.
    """

    def __init__(self) -> None:
        self._outdated: list[Path] = []

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write a file; raises FileAccessError, and keeps an old file of the name, on failure."""
        try:
            atomic_write(obj, filepath, durable=True)
        except OSError as error:
            raise FileAccessError(
                error.errno, f'{error.strerror}: {len(obj) / 1e6:.0f} MB could not be '
                'written, and what was there before is untouched; make room or give '
                'another directory, and resume', str(filepath)) from error

    def remove(self, filepath: str | Path) -> None:
        """Mark a file as outdated."""
        self._outdated.append(Path(filepath))

    def remove_outdated(self, current: list[str | None]) -> None:
        """Remove the marked files, except the files ``current``."""
        kept = {Path(path) for path in current if path is not None}
        for path in self._outdated:
            if path not in kept:
                path.unlink(missing_ok=True)
        self._outdated.clear()


@HOOKS.register_module()
class DurableCheckpointHook(CheckpointHook):
    """Writes checkpoints whole or not at all, and removes old ones when the new one is on the disk.

    :class:`mmengine.hooks.CheckpointHook` deletes first and then writes in place: a run that is
    stopped in between has neither. This hook replaces it and takes its arguments::

        default_hooks = dict(checkpoint=dict(type='DurableCheckpointHook', interval=500))

    Args:
        backend_args: Storage of the checkpoints; by default :class:`DurableBackend`. Other
            backends keep the parent's order.
        **kwargs: As in the parent.
    """

    def __init__(self, backend_args: dict | None = None, **kwargs) -> None:
        super().__init__(backend_args=backend_args or dict(backend='durable'), **kwargs)

    def before_train(self, runner: Runner) -> None:
        """Remove temporary files of a run that was stopped while it wrote."""
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
