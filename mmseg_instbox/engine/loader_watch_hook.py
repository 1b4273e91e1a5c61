import signal
import threading
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner
from mmseg.registry import HOOKS
from torch.utils.data import DataLoader

GRACE = 5  # seconds that PyTorch's own limit is given to speak up first


@HOOKS.register_module()
class LoaderWatchHook(Hook):
    """Ends the wait for a data loader whose worker is stopped or holds Python's lock for ever.

    A loader's ``timeout`` does not end that: a batch is announced first, and whoever then fetches
    its memory from the worker waits without a limit. Here an alarm (SIGALRM) goes off when nothing
    came for ``GRACE`` seconds longer than the ``timeout``, where there is one, and raises the error
    that PyTorch would. ``run_training`` adds this hook and takes the alarm back when a run ends.
    """

    priority = 'LOWEST'  # what other hooks do after an iteration takes its time

    def after_train_iter(self, runner: Runner, batch_idx: int, *args: Any, **kwargs: Any) -> None:
        """Wait for the next batch; after the last of an epoch there is none."""
        loader = runner.train_dataloader
        if isinstance(runner.train_loop, IterBasedTrainLoop) or _has_next(loader, batch_idx):
            _set_alarm(loader)

    def after_val_iter(self, runner: Runner, batch_idx: int, *args: Any, **kwargs: Any) -> None:
        """Wait for the next batch of a validation."""
        if _has_next(runner.val_dataloader, batch_idx):
            _set_alarm(runner.val_dataloader)

    def before_train_iter(self, *args: Any, **kwargs: Any) -> None:
        """It came."""
        take_alarm_back()

    before_val = before_val_iter = after_train_epoch = after_train = before_train_iter


def take_alarm_back() -> None:
    """Let no alarm go off."""
    if _can_set():
        signal.setitimer(signal.ITIMER_REAL, 0)


def _has_next(loader: DataLoader, index: int) -> bool:
    return index + 1 < len(loader)


def _set_alarm(loader: DataLoader) -> None:
    if not loader.timeout or not _can_set():
        return
    seconds = loader.timeout + GRACE

    def tell(*_: Any) -> None:
        raise RuntimeError(f'DataLoader timed out after {seconds:.0f} seconds')

    signal.signal(signal.SIGALRM, tell)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def _can_set() -> bool:
    main = threading.current_thread() is threading.main_thread()
    return main and hasattr(signal, 'setitimer')
