"""``instbox train``, ``instbox test`` and ``instbox browse``: what runs a config."""
from functools import partial
from pathlib import Path
from time import monotonic

import click
from click.core import ParameterSource

from .main import Interrupted
from .options import CommandWithConfig, options
from .startup import announce_device, load_package


@click.command(cls=CommandWithConfig)
@click.argument('source', metavar='DATA|CONFIG')
@click.option('--minutes', type=click.FloatRange(min=0, min_open=True), default=10.,
              help='DATA: time for the training and its validations.')
@click.option('--epochs', type=click.IntRange(min=1),
              help='DATA: how often each image is seen, instead of --minutes.')
@click.option('--val', metavar='DATA', help='DATA: images to validate on.  [default: the part for '
              'validation, or a fifth of the images]')
@click.option('--images', metavar='DIR', help='DATA: directory of the images, if not in DATA.')
@click.option('--base', metavar='MODEL', help='DATA: model to start from, as for `instbox predict '
              '--model`.  [default: the model of the package]')
@click.option('--seed', type=click.IntRange(min=0), default=0,
              help='DATA: seed of the split and of the training.')
@options('work_dir')
@click.option('--resume', is_flag=False, flag_value='auto', metavar='[CHECKPOINT]',
              help='Resume from this checkpoint; without a value, from the last one in the work '
              'directory.')
@click.option('--amp', is_flag=True, help='CONFIG: train in mixed precision (bfloat16 on a CPU).')
@options('cfg_options', 'launcher', 'local_rank', 'allow_pickle')
def train(source: str, work_dir: str | None, resume: str | None, amp: bool,
          cfg_options: dict | None, launcher: str, allow_pickle: bool,
          **data_options: object) -> None:
    """Train a model on annotated images, or with a config.

    DATA is a file or folder of annotations: COCO JSON, LabelMe, YOLO, VIA, VOC, or images with
    masks; `instbox check DATA` shows what is found in it. Everything else is chosen: see
    docs/own_data.md. CONFIG is a config file or a name that `instbox models` lists.

    \b
    Examples:
      instbox train my_images
      instbox train my_images --minutes 60 --val other_images
      instbox train my_images --resume             continue after a stop
      instbox train my_config.py
      instbox train my_config.py --amp --work-dir runs/first
      instbox train my_config.py --cfg-options train_cfg.max_iters=100 train_dataloader.batch_size=4
      torchrun --nproc_per_node 8 -m mmseg_instbox.cli train my_config.py --launcher pytorch

    The last line, or tools/dist_train.sh CONFIG 8, trains on 8 GPUs.
    """
    path, started = Path(source), monotonic()
    is_data = path.is_dir() or (path.is_file() and path.suffix != '.py')
    common = dict(resume=resume, cfg_options=cfg_options, allow_pickle=allow_pickle)
    source_of = click.get_current_context().get_parameter_source
    given = next((f'--{name}' for name in data_options
                  if source_of(name) is ParameterSource.COMMANDLINE), '')
    if is_data and (launcher != 'none' or amp):
        raise click.UsageError('--launcher and --amp are for a config: train with the config.py '
                               'that `instbox train DATA` writes to its work directory.')
    if given and not is_data:
        raise click.UsageError(f'{given} is for data, and this is a config: change it, or use '
                               '--cfg-options.')
    if data_options['epochs'] and source_of('minutes') is ParameterSource.COMMANDLINE:
        raise click.UsageError('Give --minutes or --epochs, not both.')
    load_package()
    if is_data:
        from ..apis.own_data_training import choose_work_dir, train_on_data
        folder = work_dir = work_dir or str(choose_work_dir(source, resume))
        run = partial(train_on_data, source, work_dir, started=started, **common, **data_options)
    else:
        from ..engine import run_training, training_config
        cfg = training_config(source, work_dir=work_dir, amp=amp, launcher=launcher, **common)
        folder, run = cfg.work_dir, partial(run_training, cfg)
    announce_device()
    if resume and given:
        click.echo(f'--resume goes on with the settings of the first start: {given} is not read; '
                   '--cfg-options changes settings.', err=True)
    try:
        run()
    except KeyboardInterrupt:
        place = f' --work-dir {work_dir}' if work_dir else ''
        raise Interrupted(
            f'To resume from the last checkpoint: instbox train {source}{place} --resume'
            if Path(folder, 'last_checkpoint').is_file() else
            'There is no checkpoint to resume from yet.') from None


@click.command(cls=CommandWithConfig)
@click.argument('config')
@click.argument('checkpoint')
@options('work_dir')
@click.option('--out', metavar='DIR', help='Directory for the category probabilities and boxes of '
              'each image, which tools/analysis_tools read.')
@click.option('--tta', is_flag=True, help='Test-time augmentation: tta_pipeline of the config, or '
              'mirror images.')
@click.option('--show-dir', metavar='DIR',
              help='Directory for drawings of ground truth and predictions; of several processes '
              'only the first one draws its share of the images.')
@click.option('--show', is_flag=True, help='Show each drawing in a window.')
@click.option('--wait-time', type=click.FloatRange(min=0), default=2,
              help='Seconds that a window stays (--show).')
@options('cfg_options', 'launcher', 'local_rank', 'allow_pickle')
def test(config: str, checkpoint: str, allow_pickle: bool, **settings: object) -> None:
    """Evaluate a checkpoint.

    CONFIG is the path of a config file or a name that `instbox models` lists; its test set is
    used. The metrics, fractions from 0 to 1 (of mmseg's IoUMetric per cent), are printed and
    written to metrics.json.

    \b
    Examples:
      instbox test my_config.py work_dirs/my_config/iter_2000.pth
      instbox test my_config.py iter_2000.pth --show-dir drawings
      instbox test my_config.py iter_2000.pth --tta --out dump
    """
    load_package()
    from ..engine import run_testing, testing_config
    cfg = testing_config(config, checkpoint, allow_pickle=allow_pickle, **settings)
    announce_device()
    run_testing(cfg, allow_pickle)


@click.command(cls=CommandWithConfig)
@click.argument('config')
@click.option('--out', '--output-dir', metavar='DIR', help='Directory for the drawings.')
@click.option('--number', type=click.IntRange(min=1), default=10,
              help='Number of samples, from the first on.')
@click.option('--split', type=click.Choice(['train', 'val', 'test']), default='train',
              help='Which data set of the config.')
@click.option('--seed', type=click.IntRange(min=0), default=0,
              help='Seed of the random transforms.')
@click.option('--show', is_flag=True, help='Show each drawing in a window.')
@click.option('--wait-time', '--show-interval', type=click.FloatRange(min=0), default=0,
              help='Seconds that a window stays; 0 waits for a key (--show).')
@options('cfg_options')
def browse(config: str, out: str | None, show: bool, **settings: object) -> None:
    """Show training samples as the network gets them.

    CONFIG is the path of a config file or a name that `instbox models` lists. Each drawing
    shows the image after all transforms, its masks and boxes, and the box targets: the cells with a
    box loss, with a line to the centre of the box that each has to predict, and as numbers. They
    are computed by the functions of the loss; no weights are needed.

    \b
    Examples:
      instbox browse my_config.py --out samples
      instbox browse my_config.py --show --number 100 --seed 1
      instbox browse my_config.py --split val --out samples
    """
    if out is None and not show:
        raise click.UsageError('Give --out DIR, or --show for windows.')
    load_package()
    from ..apis.dataset_browser import browse_dataset
    count = browse_dataset(config, out, show=show, **settings)
    if out is not None:
        click.echo(f'\n{count} drawings are in {out}')
