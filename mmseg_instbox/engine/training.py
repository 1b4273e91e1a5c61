"""Trains, and explains in a sentence why a training ended before its end."""
import logging
import multiprocessing
import re
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch.distributed
from mmengine.config import Config
from mmengine.dist import get_dist_info
from mmengine.logging import print_log

from ..errors import FileAccessError, InstBoxError, TrainingError
from .last_checkpoint import named_checkpoint
from .loader_watch_hook import LoaderWatchHook, take_alarm_back
from .run_building import start_runner

ROOM = 2**20  # bytes that a work directory must have room for: the logs of a run
KILLED_LOADER = re.compile(r'DataLoader worker \(pid.*')
HANGING_LOADER = re.compile(r'DataLoader timed out after (\d+) seconds')
LOST_PROCESS = re.compile(
    r'Connection (closed|reset) by|Broken pipe|[Tt]imed out|[Tt]imeout|NCCL|gloo|rendezvous')


class _ToldToEnd(BaseException):
    """SIGTERM came: from torchrun because another process ended, from a cluster's scheduler, ..."""


def run_training(cfg: Config) -> None:
    """Train with a config that ``training_config`` gave.

    Raises:
        TrainingError: The training ended early for a reason outside the code: data, disk, loss, a
            process that was killed. It says which, and from which checkpoint it goes on.
        FileAccessError: The work directory cannot be written.
    """
    check_work_dir(cfg.work_dir)
    runner = start_runner(cfg)
    runner.register_hook(LoaderWatchHook())
    before = set(multiprocessing.active_children())
    with _sigterm_raises() as told:
        try:
            runner.train()
        except (Exception, _ToldToEnd) as error:
            take_alarm_back()
            _ignore_sigterm()
            _kill(set(multiprocessing.active_children()) - before)
            reason = _reason(told[0] if told else _interruption(error) or error)
            if reason is None:
                raise
            sentence = f'{_process()}{reason} {_how_to_go_on(cfg.work_dir)}'
            print_log(sentence, 'current', logging.ERROR)  # torchrun may not wait for more
            raise TrainingError(sentence) from error
        finally:
            take_alarm_back()


def check_work_dir(work_dir: str | Path) -> None:
    """Make the work directory, and see whether it can be written, before anything is loaded.

    Raises:
        FileAccessError: It cannot be made or written.
    """
    try:
        Path(work_dir).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=work_dir) as file:
            file.write(bytes(ROOM))
            file.flush()
    except OSError as error:
        raise FileAccessError(f'The work directory {work_dir} cannot be written '
                              f'({error.strerror}): mend that, or give another one with '
                              '--work-dir.') from error


def _interruption(error: BaseException | None) -> RuntimeError | None:
    """What a signal's handler raised about the loaders, amid code that made another error of it.

    MMEngine, interrupted while it writes a config for a checkpoint, says that its syntax is wrong.
    """
    while error is not None:
        if isinstance(error, RuntimeError) and (
                KILLED_LOADER.search(str(error)) or HANGING_LOADER.search(str(error))):
            return error
        error = error.__cause__ or error.__context__
    return None


def _reason(error: BaseException) -> str | None:
    """Why a training ended, in sentences; None for what is a bug."""
    text = str(error)
    if isinstance(error, _ToldToEnd):
        hint = ' torchrun does that when another process ended.' if get_dist_info()[1] > 1 else ''
        return f'The training was told to end (SIGTERM).{hint}'
    if isinstance(error, InstBoxError | OSError):
        # what a loader's worker raised comes with the worker's traceback before its sentence
        return text.rsplit(f'{type(error).__name__}: ', 1)[-1].strip().rstrip('.') + '.'
    if not isinstance(error, RuntimeError):
        return None
    if found := KILLED_LOADER.search(text):
        return (f'A {found[0].strip().rstrip(".")}. Systems kill workers when memory runs out: '
                'lower train_dataloader.num_workers or batch_size if that was it.')
    if found := HANGING_LOADER.search(text):
        return (f"No data came from the data loader's workers for {found[1]} seconds: see whether "
                'the disk with the data answers, or set timeout in train_dataloader and '
                'val_dataloader.')
    if torch.distributed.is_initialized() and LOST_PROCESS.search(text):
        return ('Another process of this training ended or cannot be reached; its own message says '
                f'why ({text.splitlines()[0]}).')
    return None


def _how_to_go_on(work_dir: str | Path) -> str:
    """A sentence about the last checkpoint of a run."""
    last = named_checkpoint(work_dir)
    if last is None:
        return 'There is no checkpoint yet.'
    return f'The last checkpoint is {last}; the same command with --resume goes on from it.'


def _process() -> str:
    """Which process speaks, if there are several."""
    rank, count = get_dist_info()
    return f'Process {rank} of {count}: ' if count > 1 else ''


@contextmanager
def _sigterm_raises() -> Iterator[list[_ToldToEnd]]:
    """Let SIGTERM raise an exception, so that the run can say what became of it.

    The list holds those that were raised.
    """
    told: list[_ToldToEnd] = []
    if not _in_main_thread():  # signals are the main thread's
        yield told
        return

    def tell(*_: Any) -> None:
        told.append(_ToldToEnd())
        raise told[-1]

    previous = signal.signal(signal.SIGTERM, tell)
    try:
        yield told
    finally:
        signal.signal(signal.SIGTERM, previous)


def _ignore_sigterm() -> None:
    """Let nobody interrupt what a run says at its end; SIGKILL remains."""
    if _in_main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _kill(children: set) -> None:
    """End the workers of the loaders, hanging and stopped ones, which would keep the run alive."""
    if not children:
        return
    # PyTorch's handler would raise about each worker that dies
    previous = signal.signal(signal.SIGCHLD, signal.SIG_DFL) if _in_main_thread() else None
    for child in children:
        child.kill()
    for child in children:
        child.join(timeout=5)
    if _in_main_thread():
        signal.signal(signal.SIGCHLD, previous)
