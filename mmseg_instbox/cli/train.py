"""``instbox train``."""
from pathlib import Path

import click

from .main import Interrupted
from .options import CommandWithConfig, allow_pickle, cfg_options, launcher
from .startup import announce_device, load_package


@click.command(cls=CommandWithConfig)
@click.argument('source', metavar='DATA|CONFIG')
@click.option('--minutes', type=click.FloatRange(min=0, min_open=True), default=10.,
              help='DATA: time for the training and its validations.')
@click.option('--epochs', type=click.IntRange(min=1),
              help='DATA: how often each image is seen, instead of --minutes.')
@click.option('--val', metavar='DATA', help='DATA: images to validate on.  [default: the part for '
              'validation, or a fifth of the images]')
@click.option('--images', metavar='DIR', help='DATA: directory of the images, if not in '
              'DATA.')
@click.option('--base', metavar='MODEL', help='DATA: model to start from, as for `instbox predict '
              '--model`.  [default: the model of the package]')
@click.option('--seed', type=click.IntRange(min=0), default=0,
              help='DATA: seed of the split and of the training.')
@click.option('--work-dir', metavar='DIR', help='Directory for checkpoints and logs.  '
              '[default: work_dirs/NAME of the data or config]')
@click.option('--resume', is_flag=False, flag_value='auto', metavar='[CHECKPOINT]',
              help='Resume from this checkpoint; without a value, from the last one in the work '
              'directory.')
@click.option('--amp', is_flag=True, help='CONFIG: train in mixed precision (bfloat16 on a CPU).')
@cfg_options('train_cfg.max_iters=100')
@launcher
@allow_pickle
def train(source: str, **settings: object) -> None:
    """Train a model on annotated images, or as a config says.

    DATA is a file or folder of annotations: COCO JSON, LabelMe, YOLO, VIA, VOC, or images with
    masks; `instbox check DATA` says what is found in it. Everything else is chosen: see
    docs/own_data.md. CONFIG is a config file or a name that `instbox models` lists.

    \b
    Examples:
      instbox train my_images
      instbox train my_images --minutes 60 --val other_images
      instbox train my_images --resume             after a stop: resumes where it was
      instbox train my_config.py
      instbox train my_config.py --cfg-options train_cfg.max_iters=100 train_dataloader.batch_size=4
      torchrun --nproc_per_node 8 -m mmseg_instbox.cli train my_config.py --launcher pytorch

    The last line, or tools/dist_train.sh CONFIG 8, trains on 8 GPUs.
    """
    run = _train_on_data if _is_data(source) else _train_with_config
    load_package()
    announce_device()
    run(source, **settings)


def _is_data(source: str) -> bool:
    """Whether this is a path that is no config."""
    path = Path(source)
    return path.is_dir() or (path.is_file() and path.suffix != '.py')


def _train_on_data(data: str, launcher: str, amp: bool, **settings: object) -> None:
    from ..apis.own_data_training import TrainingOptions, choose_work_dir, train_on_data
    if launcher != 'none' or amp:
        raise click.UsageError('--launcher and --amp are for a config: train with the config.py '
                               'that `instbox train DATA` writes to its work directory.')
    options = TrainingOptions(**settings)
    options = TrainingOptions(**dict(settings, work_dir=str(choose_work_dir(data, options))))
    try:
        train_on_data(data, options)
    except KeyboardInterrupt:
        raise Interrupted(_how_to_go_on(data, options.work_dir, Path(options.work_dir))) from None


def _train_with_config(config: str, work_dir: str | None, minutes: float, epochs: int | None,
                       val: str | None, images: str | None, base: str | None, seed: int,
                       **settings: object) -> None:
    if epochs or val or images or base:
        raise click.UsageError('--epochs, --val, --images and --base are for data, and this is a '
                               'config: change it, or use --cfg-options.')
    from ..engine import run_training, training_config
    cfg = training_config(config, work_dir=work_dir, **settings)
    try:
        run_training(cfg)
    except KeyboardInterrupt:
        raise Interrupted(_how_to_go_on(config, work_dir, Path(cfg.work_dir))) from None


def _how_to_go_on(source: str, work_dir: str | None, folder: Path) -> str:
    """A sentence about the checkpoints of a run that was stopped."""
    if not (folder / 'last_checkpoint').is_file():
        return 'There is no checkpoint yet.'
    place = f' --work-dir {work_dir}' if work_dir else ''
    return f'To resume from the last checkpoint: instbox train {source}{place} --resume'
