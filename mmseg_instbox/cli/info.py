"""``instbox info``."""
import click

from .startup import load_package


@click.command(short_help='Print the environment, or the size and cost of a model.')
@click.argument('config', required=False)
@click.option('--shape', type=click.IntRange(1), nargs=2, default=(512, 512), metavar='H W',
              help='Height and width of the input image.')
def info(config: str | None, shape: tuple[int, int]) -> None:
    """Print the environment for bug reports, or the parameters, FLOPs and memory of a model.

    CONFIG is the path of a config file, a name that `instbox models` lists, or a config of a
    package such as mmseg::fcn/NAME.py; without it, the environment is printed.

    \b
    Examples:
      instbox info
      instbox info my_config.py
      instbox info instbox_fcrn-r50-d8_8xb2-20k_voc12-sbd-500x500 --shape 500 500
    """
    load_package()
    click.echo(environment() if config is None else _model(config, shape))


def environment() -> str:
    """Versions of the packages that a run depends on, one per line."""
    from importlib import metadata

    from mmengine.utils.dl_utils import collect_env

    from ..utils.openmmlab import DISTRIBUTIONS
    from ..version import __version__
    rows = dict(mmseg_instbox=__version__)
    for name in (*DISTRIBUTIONS['mmseg'], *DISTRIBUTIONS['mmdet'], 'onedl-mmcv', 'mmcv', 'numpy',
                 'pycocotools', 'gradio'):
        if name != 'mmseg_instbox' and any(True for _ in metadata.distributions(name=name)):
            rows[name] = metadata.version(name)
    rows |= {key: str(value).strip() for key, value in collect_env().items()
             if key != 'numpy_random_seed'}
    return '\n'.join(f'{key}: {value}' for key, value in rows.items())


def _model(config: str, shape: tuple[int, int]) -> str:
    from ..engine import find_config
    from .scripts.model_stats import format_rows, measure_apart
    path = config if '::' in config else find_config(config)
    return (f'{format_rows([measure_apart(path, shape)])}\n'
            f'One image of {shape[0]} x {shape[1]} pixels; memory is what a process grows by.')
