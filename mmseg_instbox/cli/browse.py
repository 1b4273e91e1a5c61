"""``instbox browse``."""
import click

from .options import CommandWithConfig, cfg_options
from .startup import load_package


@click.command(cls=CommandWithConfig)
@click.argument('config')
@click.option('--out', metavar='DIR', help='Folder for the drawings.')
@click.option('--number', type=click.IntRange(min=1), default=10,
              help='Number of samples, from the first on.')
@click.option('--split', type=click.Choice(['train', 'val', 'test']), default='train',
              help='Which data set of the config.')
@click.option('--seed', type=click.IntRange(min=0), default=0,
              help='Seed of the random transforms.')
@click.option('--show', is_flag=True, help='Show each drawing in a window.')
@click.option('--wait-time', type=click.FloatRange(min=0), default=0,
              help='Seconds that a window stays; 0 waits for a key (--show).')
@cfg_options('train_dataloader.dataset.ann_file=FILE')
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
