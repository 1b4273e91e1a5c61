"""Reads the config of a run, fits it to the machine, and builds its runner."""
import logging
from datetime import timedelta
from difflib import get_close_matches
from itertools import count
from pathlib import Path

import torch.distributed
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import MMLogger, print_log
from mmengine.runner import Runner
from mmengine.visualization import Visualizer
from mmseg.registry import METRICS, RUNNERS

from ..errors import InvalidInputError
from ..utils import walk
from ..utils.foreign_errors import convert_errors
from ..utils.openmmlab import quiet_imports
from .categories import settle_categories
from .config_io import load_config

# the terminal shows neither longer reports of MMEngine's runner, nor lines for each parameter, nor
# notices that ask nothing of a user
TERMINAL_LINES = 5
FILE_ONLY = ('paramwise_options', 'since its requires_grad=False', '"FileClient" will',
             '"HardDiskBackend" is', 'The prefix is not')


def read_run_config(config: str, work_dir: str | None = None, cfg_options: dict | None = None,
                    launcher: str = 'none') -> Config:
    """Read the config of a run, as :func:`load_config` does, and settle its categories.

    The run writes to ``work_dir``, by default that of the config, else ``work_dirs/CONFIG_NAME``;
    ``launcher`` is 'none', 'pytorch', 'slurm' or 'mpi'.
    """
    cfg = load_config(config, cfg_options)
    settle_categories(cfg)
    cfg.launcher = launcher
    cfg.work_dir = work_dir or cfg.get('work_dir') or str(
        Path('work_dirs') / Path(cfg.filename).stem)
    return cfg


def check_save_best(cfg: Config) -> None:
    """Raise InvalidInputError if no metric reports the figure of ``save_best``.

    Nothing is checked if the figures of a metric are not known. ``rule`` is set to 'greater', which
    holds for all our figures and MMEngine cannot tell from their names.
    """
    evaluator, figures = cfg.get('val_evaluator') or [], []
    for metric in evaluator if isinstance(evaluator, list | tuple) else [evaluator]:
        with quiet_imports():  # of MMDetection
            kind = METRICS.get(metric['type']) if isinstance(metric.get('type'), str) else None
        if not getattr(kind, 'figures', ()):
            return
        prefix = f'{metric["prefix"]}/' if metric.get('prefix') else ''
        figures += [f'{prefix}{figure}' for figure in kind.figures]
    for place, hook in (cfg.get('default_hooks') or {}).items():
        names = hook.get('save_best') if hook and figures else None
        for name in [names] if isinstance(names, str) else names or ():
            if name not in ('auto', *figures):
                near = get_close_matches(str(name), figures, 1)
                hint = f' Did you mean {near[0]!r}?' if near else ''
                raise InvalidInputError(f'default_hooks.{place}.save_best is {name!r}, but the '
                                        f'metrics of val_evaluator report {", ".join(figures)}.'
                                        f'{hint}')
            hook.setdefault('rule', 'greater')


def adapt_to_cpu(cfg: Config) -> None:
    """Make a config that was written for GPUs run on a machine without one.

    Synchronized batch normalization and ``AmpOptimWrapper``, which train on GPUs only, become plain
    batch normalization and ``CPUAmpOptimWrapper``; with a launcher, the processes talk through
    gloo. Nothing changes where there is a GPU.

    Raises:
        InvalidInputError: The launcher or the strategy is one that needs a GPU.
    """
    if get_device() != 'cpu':
        return
    if cfg.get('strategy', {}).get('type') == 'FSDPStrategy':
        raise InvalidInputError('FSDPStrategy needs GPUs and this machine has none: take strategy '
                                'and runner_type out of the config.')
    synchronized = [node for _, _, node in walk(cfg.model)
                    if isinstance(node, dict) and node.get('type') in ('SyncBN', 'MMSyncBN')]
    for node in synchronized:
        node['type'] = 'BN'
    if synchronized:
        print_log(f'No GPU here: {len(synchronized)} SyncBN of the model become BN, so each '
                  'process normalizes with its own batch.', 'current')
    wrapper = cfg.get('optim_wrapper') or {}
    if wrapper.get('type') == 'AmpOptimWrapper':
        wrapper.type = 'CPUAmpOptimWrapper'
        for key in ('loss_scale', 'dtype', 'use_fsdp'):  # of a GPU alone
            wrapper.pop(key, None)
    launcher = cfg.get('launcher', 'none')
    if launcher == 'none':
        return
    if launcher != 'pytorch':
        raise InvalidInputError(f'--launcher {launcher} needs GPUs and this machine has none: '
                                'use --launcher pytorch (tools/dist_train.sh), or none.')
    if not torch.distributed.is_initialized():
        seconds = cfg.get('env_cfg', {}).get('dist_cfg', {}).get('timeout')
        timeout = None if seconds is None else timedelta(seconds=seconds)
        torch.distributed.init_process_group('gloo', timeout=timeout)
    cfg.model_wrapper_cfg = dict(  # MMEngine's own wrapper needs a GPU
        type='MMDistributedDataParallel', device_ids=None, broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False))


_RUNS = count()  # of this process


class BriefRunner(Runner):
    """A runner that logs environment, config and table of hooks to the log file only."""
    terminal_level = logging.NOTSET

    def build_logger(self, *args, **kwargs) -> MMLogger:
        """The parent's logger, with a filter on the terminal."""
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if isinstance(handler, logging.FileHandler):
                logger.info(f'The full log is written to {handler.baseFilename}')
            else:
                handler.addFilter(_is_brief)
                handler.setLevel(max(handler.level, self.terminal_level))
        return logger


    def build_visualizer(self, visualizer: Visualizer | dict | None = None) -> Visualizer:
        """The parent's, with a name of its own: one of a name that an earlier run of this process
        used would be that run's, which draws and logs to another directory."""
        if isinstance(visualizer, dict):
            visualizer = dict(visualizer, name=f'{self.experiment_name}_{next(_RUNS)}')
        return super().build_visualizer(visualizer)


class QuietRunner(BriefRunner):
    """A runner that shows only errors on the terminal."""
    terminal_level = logging.ERROR


def _is_brief(record: logging.LogRecord) -> bool:
    """Whether the terminal shows a message."""
    message, by_runner = record.getMessage(), Path(record.pathname).name == 'runner.py'
    return not (any(part in message for part in FILE_ONLY)
                or by_runner and message.count('\n') > TERMINAL_LINES)


def start_runner(cfg: Config, quiet: bool = False) -> Runner:
    """The runner of a config; with ``runner_type`` in it, of that class, which is never quiet.

    Raises:
        InvalidInputError: The config names an unregistered class, or arguments that it lacks.
    """
    with convert_errors('The config describes no run that can be built', KeyError, TypeError,
                        AssertionError):
        with quiet_imports():
            METRICS.import_from_location()  # imports MMDetection
        if 'runner_type' in cfg:
            return RUNNERS.build(cfg)
        return (QuietRunner if quiet else BriefRunner).from_cfg(cfg)
