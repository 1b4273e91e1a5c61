"""Changes a config as the command line of a run asks for."""
import os
from datetime import timedelta
from pathlib import Path

import torch.distributed
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import print_log

from ..errors import InvalidInputError
from ..utils import walk
from .checkpoints import last_checkpoint

LOADER_TIMEOUT = 300  # seconds without data from a loader's workers


def set_work_dir(cfg: Config, work_dir: str | None) -> None:
    """Set where a run writes: the argument, else the config, else ``work_dirs/CONFIG_NAME``."""
    if work_dir is not None:
        cfg.work_dir = work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs') / Path(cfg.filename).stem)


def set_resume(cfg: Config, resume: str | None) -> None:
    """Resume from a checkpoint.

    Args:
        cfg: The config, with its work directory, changed in place.
        resume: ``'auto'`` takes the last checkpoint in the work directory that can be read; where
            there is none, the run starts as the config says, ``load_from`` included. Anything else
            is the path or address of a checkpoint. None leaves it to the config, whose ``resume =
            True`` without ``load_from`` means ``'auto'``.
    """
    if resume is None and cfg.get('resume') and cfg.get('load_from') is None:
        resume, cfg.resume = 'auto', False
    if resume is None:
        return
    found = last_checkpoint(cfg.work_dir) if resume == 'auto' else resume
    if found is not None:
        cfg.load_from, cfg.resume = str(found), True


def write_plain_checkpoints(cfg: Config) -> None:
    """Let a training write checkpoints that load weights-only.

    Args:
        cfg: The config, changed in place unless it has ``default_hooks.plain_checkpoint``.
    """
    _add_default_hook(cfg, 'plain_checkpoint', 'PlainCheckpointHook')


def watch_training(cfg: Config) -> None:
    """Let a training skip losses that are not finite, and end when its data loader hangs.

    Args:
        cfg: The config, changed in place unless it has ``default_hooks.loss_guard``, or
            ``timeout`` (seconds; 0 waits for ever) for the loaders with workers.
    """
    _add_default_hook(cfg, 'loss_guard', 'LossGuardHook')
    for name in ('train_dataloader', 'val_dataloader'):
        loader = cfg.get(name)
        if isinstance(loader, dict) and loader.get('num_workers'):
            loader.setdefault('timeout', LOADER_TIMEOUT)


def _add_default_hook(cfg: Config, name: str, kind: str) -> None:
    hooks = cfg.get('default_hooks') or {}
    hooks.setdefault(name, dict(type=kind))
    cfg.default_hooks = hooks


def adapt_to_cpu(cfg: Config) -> None:
    """Make a config that was written for GPUs run on a machine without one.

    Synchronized batch normalization, which trains on GPUs only, becomes plain batch normalization;
    with a launcher, the processes talk through gloo. Nothing changes where there is a GPU.

    Raises:
        ValueError: The launcher or the strategy is one that needs a GPU.
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
    if cfg.launcher != 'none':
        _start_gloo(cfg)


def _start_gloo(cfg: Config) -> None:
    """Join the process group and wrap the model as MMEngine cannot do without a GPU."""
    if cfg.launcher != 'pytorch':
        raise InvalidInputError(f'--launcher {cfg.launcher} needs GPUs and this machine has none: '
                                'use --launcher pytorch (tools/dist_train.sh), or none.')
    if not torch.distributed.is_initialized():
        seconds = cfg.get('env_cfg', {}).get('dist_cfg', {}).get('timeout')
        timeout = None if seconds is None else timedelta(seconds=seconds)
        torch.distributed.init_process_group('gloo', timeout=timeout)
    cfg.model_wrapper_cfg = dict(
        type='MMDistributedDataParallel',
        device_ids=None,
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False))


def draw_pictures(cfg: Config, show_dir: str | None, show: bool, wait_time: float) -> None:
    """Turn on the drawing of predictions while testing.

    Args:
        cfg: The config, changed in place.
        show_dir: Directory for the pictures, or None to write none.
        show: Open a window for each picture.
        wait_time: Seconds that a window stays.

    Raises:
        ValueError: The config has no visualization hook to turn on.
    """
    if not (show_dir or show):
        return
    hook = cfg.get('default_hooks', {}).get('visualization')
    if hook is None:
        raise InvalidInputError('--show and --show-dir need a hook in the config: default_hooks = '
                                "dict(visualization=dict(type='SegVisualizationHook'), ...).")
    hook.update(draw=True, show=show, wait_time=wait_time)
    if show_dir:
        backend = dict(type='LocalVisBackend', img_save_dir=os.path.abspath(show_dir))
        others = [b for b in cfg.visualizer.get('vis_backends') or [] if b.type != backend['type']]
        cfg.visualizer.vis_backends = [*others, backend]


def dump_boxes(cfg: Config, out_dir: str | None) -> None:
    """Let a test also dump the category scores and boxes of each image.

    Args:
        cfg: The config, changed in place; ``filename`` and ``load_from`` go into the dump's index.
        out_dir: Directory of the dump, or None for no dump.

    Raises:
        ValueError: There is a file of that name.
    """
    if out_dir is None:
        return
    if Path(out_dir).is_file():
        raise InvalidInputError(f'--out {out_dir} is a file: give a directory for the dump.')
    cfg.model.test_cfg = {'mode': 'whole', **(cfg.model.get('test_cfg') or {}), 'keep_boxes': True}
    metrics = cfg.test_evaluator
    metrics = [metrics] if isinstance(metrics, dict) else metrics
    dump = dict(type='DumpPixelBoxes', out_dir=out_dir, config=str(cfg.filename),
                checkpoint=str(cfg.load_from))
    cfg.test_evaluator = [*metrics, dump]
