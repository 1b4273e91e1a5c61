from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

SMOOTHING = 0.05  # weight of the newest loss


@HOOKS.register_module()
class ProgressLineHook(Hook):
    """Shows the loss, the last and best validation figure and the time left in one line.

    Where the output is no terminal, a line is printed after each validation.

    Args:
        monitor: The figure to show.

    Attributes:
        runner (Runner | None): The runner, once its training has begun.
    """

    def __init__(self, monitor: str = 'AP50') -> None:
        self.monitor = monitor
        self.runner: Runner | None = None
        self._loss: float | None = None
        self._last: float | None = None
        self._best = 0.
        self._bar = Progress(
            TextColumn('{task.description}'), BarColumn(20), TaskProgressColumn(),
            TimeRemainingColumn(), console=Console(highlight=False))

    def before_train(self, runner: Runner) -> None:
        """Begin the line."""
        self.runner = runner
        self._bar.disable = not is_main_process()
        self._task = self._bar.add_task('first validation', total=1.)
        if self._bar.console.is_terminal:
            self._bar.start()

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None,
                         outputs: dict | None = None) -> None:
        """Show the loss, averaged over the last iterations."""
        loss = float(torch.as_tensor((outputs or {}).get('loss', float('nan'))).detach())
        if loss == loss:  # no number where LossGuardHook skipped the batch
            known = loss if self._loss is None else self._loss
            self._loss = known + SMOOTHING * (loss - known)
        self._show(runner)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Show the figure."""
        if self.runner is None:  # a validation by hand
            return
        self._last = float((metrics or {}).get(self.monitor, 0.))
        self._best = max(self._best, self._last)
        self._show(runner)
        if not self._bar.console.is_terminal and is_main_process():
            done = self._bar.tasks[0].completed
            self._bar.console.print(f'{done:4.0%}  {self._text(runner)}', soft_wrap=True)

    def after_train(self, runner: Runner) -> None:
        """End the line."""
        self.stop()

    def stop(self) -> None:
        """End the line, also of a training that was interrupted."""
        if self._bar.console.is_terminal:
            self._bar.stop()

    def _show(self, runner: Runner) -> None:
        done = getattr(runner.train_loop, 'progress', runner.iter / runner.max_iters)
        self._bar.update(self._task, completed=done, description=self._text(runner))

    def _text(self, runner: Runner) -> str:
        loss = '' if self._loss is None else f'  loss {self._loss:.3f}'
        figure = '' if self._last is None else (f'  {self.monitor} {self._last:.3f} '
                                                f'(best {self._best:.3f})')
        return f'iteration {runner.iter}{loss}{figure}'
