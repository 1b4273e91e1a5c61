"""Trains: prepares the config, and reports expected failures as ``TrainingError``."""
import logging
import re
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch.distributed
from mmengine.config import Config
from mmengine.dist import get_dist_info
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner

from ..errors import FileAccessError, InstBoxError, TrainingError
from ..utils.foreign_errors import convert_errors
from .optim_wrappers import use_amp
from .run_config import adapt_to_cpu, check_save_best, read_run_config, start_runner
from .start_weights import candidates, check_pretrained, check_weights, last_checkpoint

LOADER_TIMEOUT = 300  # seconds without data from a loader's workers
SIGNAL_WAIT = 3  # seconds for the signal of a killed worker to come
LOG_BYTES = 2**20  # that a work directory must have room for
KILLED_LOADER = re.compile(r'DataLoader worker \(pid.*')
HANGING_LOADER = re.compile(r'DataLoader timed out after (\d+) seconds')
LOST_PROCESS = re.compile(
    r'Connection (closed|reset) by|Broken pipe|[Tt]imed out|[Tt]imeout|NCCL|gloo|rendezvous')


def training_config(config: str, *, resume: str | None = None, amp: bool = False,
                    allow_pickle: bool = False, **settings) -> Config:
    """The config of a training run.

    Args:
        config: A config file, or a name in the model index.
        resume: ``'auto'``, a checkpoint, or None: see :func:`set_resume`.
        amp: Train in mixed precision.
        allow_pickle: Trust the checkpoint that the run starts from: see :func:`check_weights`.
        **settings: ``work_dir``, ``cfg_options`` and ``launcher`` of :func:`read_run_config`.

    Raises:
        MissingFileError: The config or the checkpoint is missing.
        InvalidInputError: The settings cannot be met.
    """
    cfg = read_run_config(config, **settings)
    set_resume(cfg, resume)
    check_save_best(cfg)
    check_weights(cfg, allow_pickle)
    check_pretrained(cfg, allow_pickle)
    add_safeguards(cfg)
    if amp:
        use_amp(cfg)
    wrapper = cfg.get('optim_wrapper') or {}
    if wrapper.get('type') == 'OptimWrapper':
        wrapper.pop('dtype', None)  # of the AmpOptimWrapper that an option replaced
    adapt_to_cpu(cfg)
    return cfg


def set_resume(cfg: Config, resume: str | None) -> None:
    """Set a config to resume from a checkpoint, given by its path or address.

    ``'auto'`` takes the last checkpoint in the work directory that can be read; where there is
    none, the run starts as the config says, ``load_from`` included. None leaves it to the config,
    whose ``resume = True`` without ``load_from`` means ``'auto'``.
    """
    if resume is None and cfg.get('resume') and cfg.get('load_from') is None:
        resume, cfg.resume = 'auto', False
    if resume is None:
        return
    found = last_checkpoint(cfg.work_dir) if resume == 'auto' else resume
    if found is None:
        print_log(f'--resume: there is no checkpoint in {cfg.work_dir}, so the training starts '
                  'from its first iteration.', 'current', logging.WARNING)
    else:
        cfg.load_from, cfg.resume = str(found), True


def add_safeguards(cfg: Config) -> None:
    """Add ``PlainCheckpointHook``, ``LossGuardHook``, and a timeout to data loaders with workers.

    Settings of the config are kept (a ``timeout`` of 0 waits for ever).
    """
    cfg.default_hooks = dict(
        plain_checkpoint=dict(type='PlainCheckpointHook'),
        loss_guard=dict(type='LossGuardHook')) | (cfg.get('default_hooks') or {})
    for name in ('train_dataloader', 'val_dataloader'):
        loader = cfg.get(name)
        if isinstance(loader, dict) and loader.get('num_workers'):
            loader.setdefault('timeout', LOADER_TIMEOUT)


def run_training(cfg: Config, hooks: Sequence[Hook] = (), quiet: bool = False) -> Runner:
    """Train with a config that :func:`training_config` gave.

    Args:
        hooks: Hooks besides those of the config.
        quiet: Show only errors on the terminal; the log file has everything.

    Returns:
        Runner: The runner, after the training.

    Raises:
        TrainingError: The training ended early for a reason outside the code: data, disk, memory,
            loss, a killed process. The message says which, and from which checkpoint to resume.
        FileAccessError: The work directory cannot be written.
    """
    check_work_dir(cfg.work_dir)
    runner = start_runner(cfg, quiet)
    for hook in hooks:
        runner.register_hook(hook)
    try:
        with convert_errors('train_cfg or train_dataloader cannot be built', KeyError,
                            TypeError):
            _ = runner.train_loop
        runner.train()
    except Exception as error:
        cause = _reason(error)
        if cause is None:
            raise
        rank, count = get_dist_info()
        process = f'Process {rank} of {count}: ' if count > 1 else ''
        last = next(iter(candidates(cfg.work_dir)), None)
        advice = ('There is no checkpoint yet.' if last is None else f'The last checkpoint is '
                  f'{last}; the same command with --resume goes on from it.')
        message = f'{process}{cause} {advice}'
        print_log(message, 'current', logging.ERROR)
        raise TrainingError(message) from error
    return runner


def check_work_dir(work_dir: str | Path) -> None:
    """Make the work directory; FileAccessError if it cannot be made or written."""
    with convert_errors(f'The work directory {work_dir} cannot be written; give another one with '
                        '--work-dir', OSError, to=FileAccessError):
        Path(work_dir).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=work_dir) as file:
            file.write(bytes(LOG_BYTES))
            file.flush()


def _reason(error: BaseException) -> str | None:
    """Why a training ended, in sentences; None for a bug."""
    # PyTorch reports a killed worker from a signal handler, so anywhere: MMEngine, interrupted
    # while it formats a config, makes a SyntaxError of it
    if isinstance(error, ConnectionError | EOFError):
        try:
            time.sleep(SIGNAL_WAIT)
        except RuntimeError as killed:  # the connection ended before that handler was called
            error = killed
    cause = error
    while cause is not None:
        if isinstance(cause, RuntimeError) and (found := KILLED_LOADER.search(str(cause))):
            return (f'A {found[0].strip().rstrip(".")}. Systems kill workers when memory runs out: '
                    'lower train_dataloader.num_workers or batch_size if that was it.')
        cause = cause.__cause__ or cause.__context__
    text = str(error)
    if isinstance(error, torch.cuda.OutOfMemoryError):
        return (f'The memory of the GPU does not suffice ({text.partition(". GPU")[0]}): lower '
                'train_dataloader.batch_size or the size of the crops, or add --amp.')
    if isinstance(error, InstBoxError | OSError):
        # an error of a loader's worker comes with the worker's traceback before its message
        return text.rsplit(f'{type(error).__name__}: ', 1)[-1].strip().rstrip('.') + '.'
    if isinstance(error, RuntimeError) and (found := HANGING_LOADER.search(text)):
        return (f"No data came from the data loader's workers for {found[1]} seconds: check "
                'whether the disk with the data answers, or set timeout in train_dataloader and '
                'val_dataloader.')
    if (isinstance(error, RuntimeError) and torch.distributed.is_initialized()
            and LOST_PROCESS.search(text)):
        return ('Another process of this training ended or cannot be reached; its own message says '
                f'why ({text.splitlines()[0]}).')
    return None
