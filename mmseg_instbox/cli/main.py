"""The command ``instbox``."""
import click

from ..utils import distributed_exit
from ..version import __version__
from .support.lazy_group import LazyGroup

COMMANDS = ('predict', 'convert', 'train', 'test', 'browse', 'export', 'info', 'models', 'serve')


@click.group(
    cls=LazyGroup,
    package='mmseg_instbox.cli',
    names=COMMANDS,
    context_settings=dict(help_option_names=['-h', '--help'], show_default=True,
                          max_content_width=100))
@click.option('--traceback', is_flag=True, envvar='INSTBOX_DEBUG', show_default=False,
              help='Show where an error happened (or set INSTBOX_DEBUG=1).')
@click.version_option(__version__, prog_name='instbox')
def cli(traceback: bool) -> None:
    """Instance segmentation from pixel boxes, for MMSegmentation.

    \b
    Examples:
      instbox predict photos --out found           masks and pictures of a folder
      instbox serve                                the same in a web page
      instbox train my_config.py                   train on your own data
      instbox test my_config.py iter_2000.pth      evaluate
      instbox export iter_2000.pth model.onnx      a file that runs without OpenMMLab
      instbox COMMAND --help                       all options of a command

    \b
    Exit codes: 0 all went well; 1 something failed, an error says what (predict: also when
    some of the inputs could not be read); 2 the command line is wrong; 130 stopped by Ctrl-C.
    """


def main() -> None:
    """Run the command line of this process; ends the process with the exit code."""
    with distributed_exit():
        cli(prog_name='instbox')


if __name__ == '__main__':
    main()
