"""Builds the runs of ``tools/train.py``, ``tools/test.py`` and the command ``instbox``."""
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmseg.registry import RUNNERS

from ..utils import write_json
from ..utils.foreign_errors import convert_errors
from .category_settings import settle_categories
from .checkpoints import check_pretrained, check_weights, read_checkpoint
from .config_io import find_config, load_config
from .model_loading import load_weights
from .optim_wrappers import use_amp
from .run_config import (
    adapt_to_cpu,
    draw_pictures,
    dump_boxes,
    set_resume,
    set_work_dir,
    watch_training,
    write_plain_checkpoints,
)
from .tta import use_tta


def training_config(config: str,
                    *,
                    work_dir: str | None = None,
                    cfg_options: dict | None = None,
                    launcher: str = 'none',
                    resume: str | None = None,
                    amp: bool = False,
                    allow_pickle: bool = False) -> Config:
    """The config of a training run.

    Args:
        config: A config file, or a name in the model index.
        work_dir: Where the run writes; None: see :func:`set_work_dir`.
        cfg_options: Dotted keys with their values.
        launcher: ``'none'``, ``'pytorch'``, ``'slurm'`` or ``'mpi'``.
        resume: ``'auto'``, a checkpoint, or None: see :func:`set_resume`.
        amp: Train in mixed precision.
        allow_pickle: Trust the checkpoint that the run starts from: see :func:`check_weights`.

    Raises:
        FileNotFoundError: The config or the checkpoint is missing.
        ValueError: The settings cannot be met: see the functions above.
    """
    cfg = load_config(find_config(config), cfg_options, launcher)
    settle_categories(cfg)
    set_work_dir(cfg, work_dir)
    set_resume(cfg, resume)
    check_weights(cfg, allow_pickle)
    check_pretrained(cfg, allow_pickle)
    write_plain_checkpoints(cfg)
    watch_training(cfg)
    if amp:
        use_amp(cfg)
    adapt_to_cpu(cfg)
    return cfg


def testing_config(config: str,
                   checkpoint: str,
                   *,
                   work_dir: str | None = None,
                   cfg_options: dict | None = None,
                   launcher: str = 'none',
                   out: str | None = None,
                   tta: bool = False,
                   show: bool = False,
                   show_dir: str | None = None,
                   wait_time: float = 2,
                   allow_pickle: bool = False) -> Config:
    """The config of an evaluation.

    Args:
        config: A config file, or a name in the model index.
        checkpoint: The weights.
        work_dir: Where the run writes; None: see :func:`set_work_dir`.
        cfg_options: Dotted keys with their values.
        launcher: ``'none'``, ``'pytorch'``, ``'slurm'`` or ``'mpi'``.
        out: Directory for a dump of the category scores and boxes: see :func:`dump_boxes`.
        tta: Augment each image: see :func:`use_tta`.
        show: Open a window for each prediction.
        show_dir: Directory for pictures of the predictions.
        wait_time: Seconds that a window stays.
        allow_pickle: Trust the checkpoint: see :func:`check_weights`.

    Raises:
        FileNotFoundError: The config or the checkpoint is missing.
        ValueError: The settings cannot be met: see the functions above.
    """
    cfg = load_config(find_config(config), cfg_options, launcher)
    settle_categories(cfg)
    set_work_dir(cfg, work_dir)
    cfg.load_from = checkpoint
    cfg.resume = False
    check_weights(cfg, allow_pickle)
    draw_pictures(cfg, show_dir, show, wait_time)
    dump_boxes(cfg, out)
    if tta:
        use_tta(cfg)
    adapt_to_cpu(cfg)
    return cfg


def start_runner(cfg: Config) -> Runner:
    """The runner of a config; with ``runner_type`` in it, of that class.

    Raises:
        ValueError: The config names a class that is not registered, or arguments that it lacks.
    """
    with convert_errors('The config describes no run that can be built', KeyError, TypeError):
        return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)


def check_architecture(runner: Runner, allow_pickle: bool = False) -> None:
    """Check that the checkpoint of an evaluation fits; it is read as data.

    Args:
        runner: Of a config that :func:`testing_config` gave.
        allow_pickle: Trust the checkpoint.

    Raises:
        ValueError: The checkpoint is of another architecture; MMEngine would only warn, and
            evaluate random weights.
    """
    model = runner.model
    while hasattr(model, 'module'):  # of several processes, or of test-time augmentation
        model = model.module
    source = runner.cfg.load_from
    load_weights(model, read_checkpoint(source, allow_pickle), source)


def write_metrics(runner: Runner, metrics: dict) -> None:
    """Write what ``runner.test()`` gave to ``metrics.json`` in the run's work directory."""
    if is_main_process():
        path = write_json(metrics, Path(runner.work_dir) / 'metrics.json')
        print_log(f'The figures are in {path}', 'current')
