"""``instbox test``."""
import click

from .options import CommandWithConfig, allow_pickle, cfg_options, launcher
from .startup import announce_device, load_package


@click.command(cls=CommandWithConfig)
@click.argument('config')
@click.argument('checkpoint')
@click.option('--work-dir', metavar='DIR', help='Directory for metrics.json and logs.  '
              '[default: work_dirs/NAME_OF_THE_CONFIG]')
@click.option('--out', metavar='DIR', help='Directory for the category probabilities and boxes of '
              'each image, which tools/analysis_tools read.')
@click.option('--tta', is_flag=True, help='Test-time augmentation: tta_pipeline of the config, or '
              'mirror images.')
@click.option('--show-dir', metavar='DIR',
              help='Directory for drawings of ground truth and predictions.')
@cfg_options('model.test_cfg.mode=slide')
@launcher
@allow_pickle
def test(config: str, checkpoint: str, allow_pickle: bool, **settings: object) -> None:
    """Evaluate a checkpoint.

    CONFIG is the path of a config file or a name that `instbox models` lists; its test set is
    used. The metrics, fractions from 0 to 1, are printed and written to metrics.json.

    \b
    Examples:
      instbox test my_config.py work_dirs/my_config/iter_2000.pth
      instbox test my_config.py iter_2000.pth --show-dir pictures
      instbox test my_config.py iter_2000.pth --tta --out dump
    """
    load_package()
    from ..engine import check_architecture, start_runner, testing_config, write_metrics
    cfg = testing_config(config, checkpoint, allow_pickle=allow_pickle, **settings)
    announce_device()
    runner = start_runner(cfg)
    check_architecture(runner, allow_pickle)
    write_metrics(runner, runner.test())
