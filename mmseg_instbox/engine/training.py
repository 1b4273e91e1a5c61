"""Trains, and turns the expected ways in which a training can fail into ``TrainingError``."""
import io
import logging
import re
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import torch.distributed
from mmengine.config import Config
from mmengine.dist import get_dist_info
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner

from ..errors import FileAccessError, InstBoxError, TrainingError
from .checkpoints import named_checkpoint
from .run_building import start_runner

LOG_BYTES = 2**20  # that a work directory must have room for
KILLED_LOADER = re.compile(r'DataLoader worker \(pid.*')
HANGING_LOADER = re.compile(r'DataLoader timed out after (\d+) seconds')
LOST_PROCESS = re.compile(
    r'Connection (closed|reset) by|Broken pipe|[Tt]imed out|[Tt]imeout|NCCL|gloo|rendezvous')


class _Terminated(BaseException):
    """SIGTERM came: from torchrun because another process ended, from a cluster's scheduler, ..."""


def run_training(cfg: Config, hooks: Sequence[Hook] = (), quiet: bool = False) -> Runner:
    """Train with a config that ``training_config`` gave.

    Args:
        cfg: The config.
        hooks: Hooks besides those of the config.
        quiet: Show nothing but errors; the log file has everything.

    Returns:
        Runner: The runner, after the training.

    Raises:
        TrainingError: The training ended early for a reason outside the code: data, disk, loss, a
            killed process. The message says which, and from which checkpoint to resume.
        FileAccessError: The work directory cannot be written.
    """
    check_work_dir(cfg.work_dir)
    runner = _start_quietly(cfg) if quiet else start_runner(cfg)
    for hook in hooks:
        runner.register_hook(hook)
    with _on_sigterm(_raise_terminated):
        try:
            runner.train()
        except (Exception, _Terminated) as error:
            with _on_sigterm(signal.SIG_IGN):  # torchrun sends it while this process explains
                reason = _reason(_interruption(error) or error)
                if reason is None:
                    raise
                message = f'{_process()}{reason} {_how_to_resume(cfg.work_dir)}'
                print_log(message, 'current', logging.ERROR)
            raise TrainingError(message) from error
    return runner


def _start_quietly(cfg: Config) -> Runner:
    """The runner of a config, whose logger writes all but errors to its file alone."""
    with redirect_stdout(io.StringIO()):
        runner = start_runner(cfg)
    for handler in runner.logger.handlers:
        if type(handler) is logging.StreamHandler:
            handler.setStream(sys.stdout)
            handler.setLevel(logging.ERROR)
    return runner


def check_work_dir(work_dir: str | Path) -> None:
    """Make the work directory, and check that it can be written, before anything is loaded.

    Raises:
        FileAccessError: It cannot be made or written.
    """
    try:
        Path(work_dir).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=work_dir) as file:
            file.write(bytes(LOG_BYTES))
            file.flush()
    except OSError as error:
        raise FileAccessError(f'The work directory {work_dir} cannot be written '
                              f'({error.strerror}): mend that, or give another one with '
                              '--work-dir.') from error


def _interruption(error: BaseException | None) -> BaseException | None:
    """What a signal's handler raised, where other code replaced it by an error of its own.

    MMEngine, interrupted while it formats a config for a checkpoint, reports a syntax error.
    """
    while error is not None:
        if isinstance(error, _Terminated) or (
                isinstance(error, RuntimeError) and KILLED_LOADER.search(str(error))):
            return error
        error = error.__cause__ or error.__context__
    return None


def _reason(error: BaseException) -> str | None:
    """Why a training ended, in sentences; None for a bug."""
    text = str(error)
    if isinstance(error, _Terminated):
        hint = ' torchrun does that when another process ended.' if get_dist_info()[1] > 1 else ''
        return f'The training was told to end (SIGTERM).{hint}'
    if isinstance(error, InstBoxError | OSError):
        # an error of a loader's worker comes with the worker's traceback before its message
        return text.rsplit(f'{type(error).__name__}: ', 1)[-1].strip().rstrip('.') + '.'
    if not isinstance(error, RuntimeError):
        return None
    if found := KILLED_LOADER.search(text):
        return (f'A {found[0].strip().rstrip(".")}. Systems kill workers when memory runs out: '
                'lower train_dataloader.num_workers or batch_size if that was it.')
    if found := HANGING_LOADER.search(text):
        return (f"No data came from the data loader's workers for {found[1]} seconds: check "
                'whether the disk with the data answers, or set timeout in train_dataloader and '
                'val_dataloader.')
    if torch.distributed.is_initialized() and LOST_PROCESS.search(text):
        return ('Another process of this training ended or cannot be reached; its own message says '
                f'why ({text.splitlines()[0]}).')
    return None


def _how_to_resume(work_dir: str | Path) -> str:
    """A sentence about the last checkpoint of a run."""
    last = named_checkpoint(work_dir)
    if last is None:
        return 'There is no checkpoint yet.'
    return f'The last checkpoint is {last}; the same command with --resume goes on from it.'


def _process() -> str:
    """Which process reports, if there are several."""
    rank, count = get_dist_info()
    return f'Process {rank} of {count}: ' if count > 1 else ''


def _raise_terminated(*_: Any) -> None:
    raise _Terminated


@contextmanager
def _on_sigterm(handler: Any) -> Iterator[None]:
    """Handle SIGTERM by ``handler`` in the block; in other threads than the main one do nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
