"""``instbox train``."""
from pathlib import Path

import click

from .main import Interrupted
from .options import CommandWithConfig, allow_pickle, cfg_options, launcher
from .startup import announce_device, load_package


@click.command(cls=CommandWithConfig)
@click.argument('config')
@click.option('--work-dir', metavar='DIR', help='Directory for checkpoints and logs.  '
              '[default: work_dirs/NAME_OF_THE_CONFIG]')
@click.option('--resume', is_flag=False, flag_value='auto', metavar='[CHECKPOINT]',
              help='Resume from this checkpoint; without a value, from the last one in the work '
              'directory.')
@click.option('--amp', is_flag=True, help='Train in mixed precision (bfloat16 on a CPU).')
@cfg_options('train_cfg.max_iters=100')
@launcher
@allow_pickle
def train(config: str, work_dir: str | None, **settings: object) -> None:
    """Train a model.

    CONFIG is the path of a config file or a name that `instbox models` lists.

    \b
    Examples:
      instbox train my_config.py
      instbox train my_config.py --amp --work-dir runs/first
      instbox train my_config.py --resume          after a stop: resumes where it was
      instbox train my_config.py --cfg-options train_cfg.max_iters=100 train_dataloader.batch_size=4
      torchrun --nproc_per_node 8 -m mmseg_instbox.cli train my_config.py --launcher pytorch

    The last line, or tools/dist_train.sh CONFIG 8, trains on 8 GPUs.
    """
    load_package()
    from ..engine import run_training, training_config
    cfg = training_config(config, work_dir=work_dir, **settings)
    announce_device()
    try:
        run_training(cfg)
    except KeyboardInterrupt:
        raise Interrupted(_how_to_go_on(config, work_dir, Path(cfg.work_dir))) from None


def _how_to_go_on(config: str, work_dir: str | None, folder: Path) -> str:
    """A sentence about the checkpoints of a run that was stopped."""
    if not (folder / 'last_checkpoint').is_file():
        return 'There is no checkpoint yet.'
    place = f' --work-dir {work_dir}' if work_dir else ''
    return f'To resume from the last checkpoint: instbox train {config}{place} --resume'
